//! `POST /whatsapp/connections/{id}/messages`

use axum::response::Response;
use relay::{ChatId, ConnectionId, Phone};
use serde::Deserialize;
use utoipa::ToSchema;

use super::send::send;
use super::text::message_text;
use super::view::MessageView;
use crate::auth::Tenant;
use crate::http::{Body, Fields, IdempotencyKey, PathId};
use crate::openapi::schemas::{self, IdempotencyHeader};
use crate::problem::Problem;

/// A message to somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FirstMessage)]
pub struct FirstContactRequest {
    /// A phone number with country code, as people write them, or WhatsApp's id of a chat.
    #[schema(schema_with = schemas::recipient, required)]
    to: Option<String>,
    /// Its text. `content` is another word for it; both must say the same.
    #[schema(schema_with = schemas::message_text, required)]
    text: Option<String>,
    #[schema(ignore)]
    content: Option<String>,
}

/// Send a message to somebody
///
/// To a number or a chat, whether there is a conversation or not; `chatId` of the answer is the chat to go on in.
/// Otherwise as into a chat.
#[utoipa::path(
    post, path = "/whatsapp/connections/{id}/messages", operation_id = "sendMessage", tag = "messages",
    params(("id" = Uuid, Path, description = "The connection's id."), IdempotencyHeader),
    request_body = FirstContactRequest,
    responses((status = 202, description = "The message, `queued`.", body = MessageView)),
    extensions(("x-problems" = json!(["connection_not_found", "not_connected"]))),
)]
pub async fn first_contact(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
    key: Option<IdempotencyKey>,
    body: Body<FirstContactRequest>,
) -> Result<Response, Problem> {
    let known = tenant.connection(id)?;
    let mut fields = Fields::default();
    let to = fields.require("to", body.value.to.as_deref(), recipient);
    let text = fields.either(("text", body.value.text), ("content", body.value.content));
    let text = fields.require("text", text, message_text);
    let (chat, text) = fields.finish(to.zip(text))?;
    send(&tenant, &known, &chat, &text, key.map(|key| key.with(&body.digest))).await
}

/// The chat that is meant. People write numbers with `+`, spaces, hyphens, dots and brackets.
fn recipient(given: &str) -> Result<ChatId, String> {
    if given.contains('@') {
        let chat: ChatId = given.parse().map_err(|error: relay::InvalidId| error.to_string())?;
        let fits = chat.is_individual() || chat.is_group();
        return if fits { Ok(chat) } else { Err("must be a person or a group".to_owned()) };
    }
    let plain: String = given.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let phone: Phone = digits.parse().map_err(|error: relay::InvalidId| error.to_string())?;
    format!("{phone}@c.us").parse().map_err(|error: relay::InvalidId| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let to = |text: &str| recipient(text).map(|chat| chat.to_string()).ok();
        assert_eq!(to("+55 (11) 99999-9999").as_deref(), Some("5511999999999@c.us"));
        assert_eq!(to("120363000000000001@g.us").as_deref(), Some("120363000000000001@g.us"));
        assert_eq!(to("100000000000001@lid").as_deref(), Some("100000000000001@lid"));
        for bad in ["", "ana", "+", "123", "0511999999999", "5511999999999@example.org", "status@broadcast"] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }
}
