//! `POST /whatsapp/chats/{id}/messages`

use axum::extract::State;
use axum::response::Response;
use relay::{ChatId, ConnectionId};
use serde::Deserialize;

use super::send::send;
use super::text::message_text;
use crate::app::App;
use crate::auth::Tenant;
use crate::http::{Body, Fields, IdempotencyKey, PathId};
use crate::problem::Problem;
use crate::store::ChatKey;

/// A message to be sent.
#[derive(Debug, Deserialize)]
pub struct ReplyRequest {
    /// Its text, 1 to 65,536 characters.
    text: Option<String>,
    /// The same.
    content: Option<String>,
}

/// Sends a message into a chat. Answers 202 with the message, `queued`; how it gets on comes as `message-status`
/// events. 404 `chat_not_found`; 409 `not_connected`, with the state, unless the connection is connected. Takes an
/// `Idempotency-Key`.
pub async fn reply(
    tenant: Tenant,
    State(app): State<App>,
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
    let row = row.ok_or_else(|| Problem::not_found("chat_not_found", "There is no chat of this id."))?;
    let known = tenant.connection(ConnectionId(row.connection_id))?;
    // The parser's own words would quote the id, which is a phone number, into the log.
    let chat: ChatId = row.wa_id.parse().map_err(|_| Problem::internal(&"a stored chat has no valid id"))?;
    send(&app, &tenant, &known, &chat, &text, key.map(|key| key.with(&body.digest))).await
}
