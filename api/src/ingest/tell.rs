//! What clients are told of an event, as it is kept, as replicas tell each other, and as it is emitted. Pure.

use relay::{ConnectionId, Offset, StateChange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::connections::live::shown;
use crate::fleet::Known;
use crate::messages::view::MessageView;
use crate::store::MessageRow;

/// An event of Socket.IO: its name and its one argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// `new-message`, `message-status` or `connection-status`.
    pub name: String,
    /// The argument.
    pub data: Value,
}

/// What replicas tell each other on a company's channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Committed {
    /// Something that clients are told.
    Told(Told),
    /// How far clients were to be told, from whoever took the connection over: its last owner may have ended between
    /// storing something and telling it.
    Position {
        /// The last that was to be told.
        position: Step,
    },
}

/// Where something that clients are told stands among what they are told of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Its place.
    pub offset: Offset,
    /// The place of what was told before it.
    pub previous: Offset,
}

impl Told {
    /// Its place; nothing for what no event of a session tells.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        Step::deserialize(&self.data).ok()
    }
}

/// What is known of where an event happened.
pub struct Place<'a> {
    /// Its connection.
    pub known: &'a Known,
    /// Its place in the stream.
    pub offset: Offset,
    /// The place of the last event before it that clients were told of.
    pub previous: Offset,
}

impl Place<'_> {
    fn told(&self, name: &str, mut data: Value) -> Told {
        if let Some(data) = data.as_object_mut() {
            data.insert("connectionId".to_owned(), json!(self.known.id));
            data.insert("offset".to_owned(), json!(self.offset));
            data.insert("previous".to_owned(), json!(self.previous));
        }
        Told { name: name.to_owned(), data }
    }

    /// A message that was not known before.
    pub fn new_message(&self, row: MessageRow, recovered: bool) -> Told {
        let message = MessageView::from(row);
        self.told("new-message", json!({"chatId": message.chat_id, "message": message, "recovered": recovered}))
    }

    /// A message that got further.
    pub fn message_status(&self, row: MessageRow) -> Told {
        let Told { name, data } = message_status_now(row);
        self.told(&name, data)
    }

    /// The session is in another state. `status` is that under what the cluster wants, for screens; `state` is the session's
    /// own word, for the log.
    pub fn connection_status(&self, change: &StateChange) -> Told {
        let status = shown(self.known.resource.spec.state, change.state);
        self.told("connection-status", json!({"status": status, "state": change.state, "reason": change.reason}))
    }
}

/// A `connection-status` that no event of a session tells: what the cluster wants changed, or a new code is shown.
#[must_use]
pub fn status_now(connection: ConnectionId, status: &str, reason: Option<&str>) -> Told {
    let data = json!({"connectionId": connection, "status": status, "reason": reason});
    Told { name: "connection-status".to_owned(), data }
}

/// A `message-status` that no event of a session tells: nobody knows how the message ended.
#[must_use]
pub fn message_status_now(row: MessageRow) -> Told {
    let MessageView { id, chat_id, connection_id, wa_id, status, ack, failure, .. } = MessageView::from(row);
    let data = json!({
        "connectionId": connection_id, "chatId": chat_id, "messageId": id, "waId": wa_id, "status": status, "ack": ack,
        "failure": failure,
    });
    Told { name: "message-status".to_owned(), data }
}
