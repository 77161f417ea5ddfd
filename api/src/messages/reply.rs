//! `POST /whatsapp/chats/{id}/messages`

use axum::response::Response;
use relay::{ChatId, ConnectionId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::send::send;
use super::text::message_text;
use super::view::MessageView;
use crate::auth::Tenant;
use crate::http::{Body, Fields, IdempotencyKey, PathId};
use crate::openapi::schemas::{self, IdempotencyHeader};
use crate::problem::{Code, Problem};
use crate::store::ChatKey;

/// A message to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub struct ReplyRequest {
    /// Its text. `content` is another word for it; both must say the same.
    #[schema(schema_with = schemas::message_text, required)]
    text: Option<String>,
    #[schema(ignore)]
    content: Option<String>,
}

/// Send a message into a chat
///
/// How it gets on comes as `message-status` events. It is sent within five minutes or not at all.
#[utoipa::path(
    post, path = "/whatsapp/chats/{id}/messages", operation_id = "reply", tag = "messages",
    params(("id" = Uuid, Path, description = "The chat's id."), IdempotencyHeader),
    request_body = ReplyRequest,
    responses((status = 202, description = "The message, `queued`.", body = MessageView)),
    extensions(("x-problems" = json!(["chat_not_found", "connection_not_found", "not_connected"]))),
)]
pub async fn reply(
    tenant: Tenant,
    PathId(id): PathId<ChatKey>,
    key: Option<IdempotencyKey>,
    body: Body<ReplyRequest>,
) -> Result<Response, Problem> {
    let mut fields = Fields::default();
    let text = fields.either(("text", body.value.text), ("content", body.value.content));
    let text = fields.require("text", text, message_text);
    let text = fields.finish(text)?;
    let mut tx = tenant.begin().await?;
    let row = tx.chat(id).await?;
    drop(tx);
    let row = row.ok_or_else(|| Problem::new(Code::ChatNotFound, "There is no chat of this id."))?;
    let known = tenant.connection(ConnectionId(row.connection_id))?;
    // The parser's own words would quote the id, which is a phone number, into the log.
    let chat: ChatId = row.wa_id.parse().map_err(|_| Problem::internal(&"a stored chat has no valid id"))?;
    send(&tenant, &known, &chat, &text, key.map(|key| key.with(&body.digest))).await
}
