//! What happens in a session, as it is told to the API. Written by pods of any version: fields are only ever added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::Outcome;
use crate::ids::{ChatId, MessageId, Phone};
use crate::status::{LinkCode, SessionState};

/// A durable event, kept in the stream until the API has committed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub enum Event {
    /// A message came in or was sent from any device of the account.
    Message(Message),
    /// A message of the account got further, or failed.
    Ack(Ack),
    /// A chat appeared or changed.
    Chat(Chat),
    /// The session's state changed.
    State(StateChange),
    /// A command came to its end.
    CommandDone {
        /// The command's id.
        command: Uuid,
        /// How it ended.
        outcome: Outcome,
    },
}

/// A message, as far as the product needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// WhatsApp's id.
    pub id: MessageId,
    /// The chat it belongs to.
    pub chat: ChatId,
    /// Who wrote it; in a group the participant, not the group.
    pub author: Option<String>,
    /// Name that the author shows, when known.
    pub push_name: Option<String>,
    /// Whether the account itself sent it, from whatever device.
    pub from_me: bool,
    /// WhatsApp's word for its type: `chat` for text, `image`, `ptt`, …
    #[serde(rename = "type")]
    pub message_type: String,
    /// The text, or a medium's caption.
    pub text: Option<String>,
    /// When it was sent, by WhatsApp's clock.
    pub sent_at: Timestamp,
    /// How far it got: -1 failed, 0 waiting, 1 server, 2 delivered, 3 read, 4 played.
    pub ack: i8,
    /// The message that it answers.
    pub quoted: Option<String>,
    /// Whether it was found in the page's store after a break, and is not news.
    #[serde(default)]
    pub recovered: bool,
}

/// How far a message of the account got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// The message.
    pub id: MessageId,
    /// As in [`Message::ack`].
    pub ack: i8,
}

/// A chat, as far as the product needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// WhatsApp's id.
    pub id: ChatId,
    /// Name that WhatsApp shows for it.
    pub name: Option<String>,
    /// Messages that nobody has read yet.
    pub unread: u32,
    /// The latest activity.
    pub last_activity_at: Option<Timestamp>,
    /// The other person's number, when it is known.
    pub phone: Option<Phone>,
    /// The other person's `@lid`, when it is known.
    pub lid: Option<String>,
}

/// A step in the life of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateChange {
    /// The state that begins.
    pub state: SessionState,
    /// Why, as a CamelCase word.
    pub reason: Option<String>,
}

/// What may be lost, told by pub/sub only. The link is also kept in its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub enum Live {
    /// A new QR or pairing code, or none any more.
    Link(Option<LinkCode>),
}
