//! Events for tests.

use jiff::Timestamp;
use relay::{Event, Message, MessageId};

use super::inner::chat_of;

/// A message of ours that was sent at this second.
pub(crate) fn message(id: &str, second: i64) -> Event {
    let id: MessageId = id.parse().expect("valid");
    Event::Message(Message {
        chat: chat_of(&id).expect("a chat"),
        id,
        author: None,
        push_name: None,
        from_me: true,
        message_type: "chat".to_owned(),
        text: None,
        sent_at: Timestamp::from_second(second).expect("valid"),
        ack: 0,
        quoted: None,
        recovered: false,
    })
}
