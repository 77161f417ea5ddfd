//! What sessions say is hostile input: it comes from a page that strangers write into. Ids were parsed on reading; what
//! remains is text, in which PostgreSQL takes everything but NUL. Pure.

use relay::{Chat, Event, Message, Outcome, StateChange};

/// The event with texts that can be stored.
#[must_use]
pub fn clean(event: Event) -> Event {
    match event {
        Event::Message(message) => Event::Message(Message {
            author: message.author.map(storable),
            push_name: message.push_name.map(storable),
            message_type: storable(message.message_type),
            text: message.text.map(storable),
            quoted: message.quoted.map(storable),
            ..message
        }),
        Event::Chat(chat) => Event::Chat(Chat { name: chat.name.map(storable), lid: chat.lid.map(storable), ..chat }),
        Event::State(change) => Event::State(StateChange { reason: change.reason.map(storable), ..change }),
        Event::CommandDone { command, outcome: Outcome::Failed { reason } } => {
            Event::CommandDone { command, outcome: Outcome::Failed { reason: storable(reason) } }
        }
        other @ (Event::Ack(_) | Event::CommandDone { .. }) => other,
    }
}

fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}
