//! What a journal holds behind its lock. Nothing here waits for a disk but the outbox while the volume fails.

use jiff::Timestamp;
use relay::{ChatId, Event, Message, MessageId};

use super::told::Told;
use super::volume::Volume;
use crate::expected::Expected;
use crate::memory::{Mark, Memory};
use crate::metrics;
use crate::outbox::{Outbox, Record};

/// What the lock holds.
pub(super) struct Inner {
    pub(super) outbox: Outbox,
    pub(super) memory: Memory,
    pub(super) told: Told,
    pub(super) expected: Expected,
    /// Nothing is missing between the mark and now, so that the mark may follow what Redis has.
    pub(super) caught_up: bool,
    /// Something had no room, and is to be looked for when there is room again.
    pub(super) overflowed: bool,
    pub(super) mark: Mark,
    pub(super) saved: Saved,
    pub(super) volume: Volume,
}

/// Whether the memory's file says what the memory does, and if not, when it is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saved {
    Yes,
    /// With the next `settle`.
    Soon,
    /// Before whoever changed it goes on.
    Now,
}

impl Inner {
    /// Whether there is another event to send, after one that was prepared.
    pub(super) fn put(&mut self, event: Event, at: Timestamp, again: bool) -> bool {
        let told = match &event {
            Event::Message(message) => Some(message.id.clone()),
            _ => None,
        };
        if !again && told.as_ref().is_some_and(|id| self.told.contains(id)) {
            return false;
        }
        let kind = kind(&event);
        let kept = self.outbox.push(Record { at, event, trace: runtime::trace::current() });
        match &kept {
            Ok(()) => {
                // Not before: what had no room must be new to whoever looks for it later.
                if let Some(id) = told {
                    self.told.add(&id);
                }
                metrics::EVENTS_TOLD.count([kind]);
            }
            Err(error) => {
                tracing::error!(%error, kind, "an event was not kept");
                metrics::EVENTS_REFUSED.count([kind]);
                self.overflowed = true;
                self.caught_up = false;
            }
        }
        self.gauge();
        kept.is_ok()
    }

    /// The event as it is told.
    pub(super) fn prepare(&mut self, event: Event) -> Event {
        match event {
            Event::Message(message) => Event::Message(self.under_known_id(message)),
            Event::Ack(mut ack) => {
                if let Some(chosen) = self.chosen(&ack.id) {
                    ack.id = chosen;
                }
                Event::Ack(ack)
            }
            other => other,
        }
    }

    fn under_known_id(&mut self, mut message: Message) -> Message {
        if let Some(chosen) = self.chosen(&message.id) {
            if let Some(chat) = chat_of(&chosen) {
                message.chat = chat;
            }
            message.id = chosen;
        }
        message
    }

    /// The id under which the API knows a message, if it is another one. What is learned from a send under way is kept:
    /// receipts come after days.
    pub(super) fn chosen(&mut self, actual: &MessageId) -> Option<MessageId> {
        if let Some(chosen) = self.memory.chosen(actual) {
            return Some(chosen.clone());
        }
        let chosen = self.expected.chosen(actual)?.clone();
        self.memory.learn_alias(&chosen, actual);
        self.save_by(Saved::Now);
        Some(chosen)
    }

    pub(super) fn keep_mark(&mut self) {
        if self.caught_up && self.memory.mark != self.mark {
            self.memory.mark = self.mark.clone();
            // An older mark costs a message told again, and a sync for each message would cost
            // more than that.
            self.save_by(Saved::Soon);
        }
    }

    /// Or earlier, where that is due already.
    pub(super) fn save_by(&mut self, when: Saved) {
        if self.saved != Saved::Now {
            self.saved = when;
        }
    }

    pub(super) fn gauge(&self) {
        self.volume.tell(self.outbox.is_on_volume());
        metrics::OUTBOX_BYTES.set_count(usize::try_from(self.outbox.bytes()).unwrap_or(usize::MAX), []);
        metrics::OUTBOX_EVENTS.set_count(self.outbox.waiting().len(), []);
    }
}

pub(super) fn chat_of(id: &MessageId) -> Option<ChatId> {
    id.as_str().split('_').nth(1)?.parse().ok()
}

const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Message(message) if message.recovered => "recovered",
        Event::Message(_) => "message",
        Event::Ack(_) => "ack",
        Event::Chat(_) => "chat",
        Event::State(_) => "state",
        Event::CommandDone { .. } => "commandDone",
    }
}
