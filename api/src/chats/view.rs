//! A chat as clients see it.

use jiff::Timestamp;
use relay::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{ChatKey, ChatRow, MessageKey};

/// A chat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Chat)]
pub struct ChatView {
    #[schema(value_type = Uuid)]
    /// The chat's id, for `/whatsapp/chats/{id}/messages`.
    pub id: ChatKey,
    /// Its connection.
    #[schema(value_type = Uuid)]
    pub connection_id: ConnectionId,
    /// WhatsApp's id.
    pub wa_id: String,
    /// The best name there is: WhatsApp's, the one the other person shows, the number, WhatsApp's id.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The other person's number, digits with country code, where it is known.
    pub phone: Option<String>,
    /// The other person's `@lid`, where it is known. Its digits are no number.
    pub lid: Option<String>,
    /// Messages that nobody has read.
    pub unread: i32,
    /// When something happened in it last.
    pub last_activity_at: Option<Timestamp>,
    /// The newest message.
    pub last_message: Option<LastMessage>,
}

/// The newest message of a chat, for lists.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMessage {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: MessageKey,
    /// WhatsApp's word for its type.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Its text or caption.
    pub text: Option<String>,
    /// Whether the account sent it.
    pub from_me: bool,
    /// When.
    pub sent_at: Timestamp,
}

impl From<ChatRow> for ChatView {
    fn from(row: ChatRow) -> Self {
        let last_message = (|| {
            Some(LastMessage {
                id: row.last_id?,
                message_type: row.last_type?,
                text: row.last_text,
                from_me: row.last_from_me?,
                sent_at: row.last_sent_at?.to_jiff(),
            })
        })();
        let activity = row.last_activity_at.to_jiff();
        let named = row.name.filter(|name| !name.is_empty()).or(row.push_name);
        let name = named.or_else(|| row.phone.clone()).unwrap_or_else(|| row.wa_id.clone());
        Self {
            id: row.id,
            connection_id: ConnectionId(row.connection_id),
            name,
            is_group: row.kind == "group",
            wa_id: row.wa_id,
            phone: row.phone,
            lid: row.lid,
            unread: row.unread,
            last_activity_at: (activity > Timestamp::UNIX_EPOCH).then_some(activity),
            last_message,
        }
    }
}
