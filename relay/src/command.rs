//! What the API asks of a session. A command is read again after a crash, so each must bear being done twice.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{ChatId, MessageId};
use crate::trace::TraceParent;

/// A command with its id and the time after which it must not be begun any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Comes back in the outcome.
    pub id: Uuid,
    /// After this time the outcome is [`Outcome::Expired`].
    pub deadline: Timestamp,
    /// What to do.
    pub action: CommandAction,
    /// What it was asked in the course of, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "TraceParent::lenient")]
    pub trace: Option<TraceParent>,
}

/// The things a session can be asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub enum CommandAction {
    /// Send a text under an id that the API has chosen. The page is asked for that id first: one effect only.
    SendText {
        /// The chosen id.
        message: MessageId,
        /// The chat.
        chat: ChatId,
        /// The text.
        text: String,
    },
    /// Make a new QR code (or pairing code) after the last one ran out.
    RefreshQr,
    /// Unlink the phone.
    Logout,
    /// Tell all chats and the latest messages of each, as events.
    ListChats {
        /// How many chats at most, newest first.
        chats: u32,
        /// How many messages of each at most.
        messages: u32,
    },
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum Outcome {
    /// Done; a send was taken by WhatsApp's client under the chosen id. Acks follow as events.
    Done,
    /// Refused or failed for good.
    Failed {
        /// A stable `snake_case` word.
        reason: String,
    },
    /// The deadline had passed before it began.
    Expired,
    /// It was begun and nobody knows how it ended; the page's store will tell.
    Unknown,
}
