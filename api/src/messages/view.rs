//! A message as clients see it.

use jiff::Timestamp;
use relay::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schemas;
use crate::store::{ChatKey, MessageKey, MessageRow};

/// A message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageView {
    /// The message's id.
    #[schema(value_type = Uuid)]
    pub id: MessageKey,
    /// Its chat.
    #[schema(value_type = Uuid)]
    pub chat_id: ChatKey,
    /// Its connection.
    #[schema(value_type = Uuid)]
    pub connection_id: ConnectionId,
    /// WhatsApp's id.
    pub wa_id: String,
    /// Whether the account sent it, from whatever device.
    pub from_me: bool,
    /// WhatsApp's id of who wrote it; in a group the participant.
    pub author: Option<String>,
    /// Name that the author shows.
    pub author_name: Option<String>,
    /// WhatsApp's word for its type: `chat` for text, `image`, `ptt`, …
    #[serde(rename = "type")]
    pub message_type: String,
    /// Text or caption.
    pub text: Option<String>,
    /// WhatsApp's id of the message that it answers.
    pub quoted_id: Option<String>,
    /// When it was sent, to the second.
    pub sent_at: Timestamp,
    /// How far it is.
    #[schema(schema_with = schemas::message_status)]
    pub status: &'static str,
    /// WhatsApp's receipt: -1 failed, 0 waiting, 1 server, 2 delivered, 3 read, 4 played.
    pub ack: i16,
    /// Why it failed, as a `snake_case` word.
    pub failure: Option<String>,
}

impl From<MessageRow> for MessageView {
    fn from(row: MessageRow) -> Self {
        Self {
            id: row.id,
            chat_id: row.chat_id,
            connection_id: ConnectionId(row.connection_id),
            status: status(row.from_me, row.ack, row.outcome.as_deref()),
            from_me: row.from_me,
            author: row.author,
            author_name: row.push_name,
            message_type: row.message_type,
            text: row.text,
            quoted_id: row.quoted,
            sent_at: row.sent_at.to_jiff(),
            ack: row.ack,
            failure: row.failure,
            wa_id: row.wa_id,
        }
    }
}

/// Every word of [`status`].
pub const STATUSES: [&str; 9] =
    ["received", "queued", "sent", "delivered", "read", "played", "failed", "expired", "unknown"];

/// How far a message is. A receipt is WhatsApp's own word and beats what the session could tell of its command: a send
/// of unknown outcome that somebody has read was sent.
#[must_use]
pub fn status(from_me: bool, ack: i16, outcome: Option<&str>) -> &'static str {
    match (from_me, ack, outcome) {
        (false, ..) => "received",
        (_, 4.., _) => "played",
        (_, 3, _) => "read",
        (_, 2, _) => "delivered",
        (_, 1, _) => "sent",
        (_, ..=-1, _) | (_, _, Some("failed")) => "failed",
        (_, _, Some("expired")) => "expired",
        (_, _, Some("unknown")) => "unknown",
        (_, _, Some(_)) => "sent",
        (_, _, None) => "queued",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_far_as_whatsapp_says() {
        for (from_me, ack, outcome, expected) in [
            (false, 0, None, "received"),
            (true, 0, None, "queued"),
            (true, 0, Some("done"), "sent"),
            (true, 1, None, "sent"),
            (true, 2, Some("done"), "delivered"),
            (true, 3, Some("unknown"), "read"),
            (true, 0, Some("unknown"), "unknown"),
            (true, 0, Some("failed"), "failed"),
            (true, -1, None, "failed"),
            (true, 0, Some("expired"), "expired"),
            (true, 5, None, "played"),
        ] {
            assert_eq!(status(from_me, ack, outcome), expected, "{from_me} {ack} {outcome:?}");
        }
    }
}
