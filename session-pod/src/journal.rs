//! The one way for an event to the API: told once, under the id that the API knows, kept in the outbox until Redis has
//! it. Clones share it. What is written here reaches the disk itself within a second ([`keep_on_disk`]).

mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use relay::{Account, ChatId, Event, Message, MessageId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::expected::Expected;
use crate::memory::{Mark, Memory};
use crate::metrics;
use crate::outbox::{Outbox, Record};
use crate::session::Link;
use told::Told;

/// What a power cut may take of the events that Redis does not have: as much as it takes of Redis itself, whose own file
/// is synced as often (`appendfsync everysec`).
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The journal of a session.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
    filled: Arc<Notify>,
    lost: Arc<Notify>,
}

struct Inner {
    outbox: Outbox,
    memory: Memory,
    path: PathBuf,
    told: Told,
    expected: Expected,
    /// Nothing is missing between the mark and now, so that the mark may follow what Redis has.
    caught_up: bool,
    /// Something had no room, and is to be looked for when there is room again.
    overflowed: bool,
    mark: Mark,
    saved: Saved,
}

/// Whether the memory's file says what the memory does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saved {
    Yes,
    /// With the next `settle`.
    Soon,
    /// The volume did not take it; every `settle` tries again.
    Failed,
}

impl Journal {
    /// Opens the files in the folder.
    pub fn open(folder: &Path, outbox_bytes: u64) -> io::Result<Self> {
        let path = folder.join("session.json");
        let memory = Memory::load(&path)?;
        let outbox = Outbox::open(&folder.join("outbox"), outbox_bytes)?;
        let mut told = Told::default();
        for record in outbox.waiting() {
            if let Event::Message(message) = &record.event {
                told.add(&message.id);
            }
        }
        let mark = memory.mark.clone();
        let (expected, saved) = (Expected::default(), Saved::Yes);
        let inner = Inner { outbox, memory, path, told, expected, caught_up: false, overflowed: false, mark, saved };
        let journal =
            Self { inner: Arc::new(Mutex::new(inner)), filled: Arc::new(Notify::new()), lost: Arc::new(Notify::new()) };
        journal.filled.notify_one();
        Ok(journal)
    }

    /// Tells an event. One that has no room is looked for later in the page's store; what is not there is lost, loudly.
    pub fn tell(&self, event: Event, at: Timestamp) {
        self.put(event, at, false);
    }

    /// Tells an event that may have been told before: whoever asks for it may have lost it.
    pub fn tell_again(&self, event: Event, at: Timestamp) {
        self.put(event, at, true);
    }

    fn put(&self, event: Event, at: Timestamp, again: bool) {
        let mut inner = self.lock();
        let (event, new) = inner.prepare(event);
        if !new && !again {
            return;
        }
        let kind = kind(&event);
        let told = match &event {
            Event::Message(message) => Some(message.id.clone()),
            _ => None,
        };
        match inner.outbox.push(Record { at, event, trace: runtime::trace::current() }) {
            Ok(()) => {
                // Not before: what had no room must be new to whoever looks for it later.
                if let Some(id) = told {
                    inner.told.add(&id);
                }
                metrics::EVENTS_TOLD.count([kind]);
                self.filled.notify_one();
            }
            Err(error) => {
                tracing::error!(%error, kind, "an event was not kept");
                metrics::EVENTS_REFUSED.count([kind]);
                inner.overflowed = true;
                inner.caught_up = false;
            }
        }
        inner.gauge();
    }

    /// The oldest event that Redis does not have; waits for one.
    pub async fn next(&self) -> Record {
        loop {
            if let Some(record) = self.lock().outbox.front().cloned() {
                return record;
            }
            self.filled.notified().await;
        }
    }

    /// Redis has the oldest event, or it cannot be sent at all.
    pub fn sent(&self) {
        let mut inner = self.lock();
        if let Some(Record { event: Event::Message(message), .. }) = inner.outbox.pop() {
            inner.mark.saw(message.sent_at, &message.id);
        }
        inner.gauge();
        if inner.outbox.front().is_none() {
            inner.keep_mark();
            if std::mem::take(&mut inner.overflowed) {
                self.lost.notify_one();
            }
        }
    }

    /// Writes what the volume did not take before, and syncs what waits to disk. Blocks: a disk takes its time.
    pub fn settle(&self) {
        let file = {
            let mut inner = self.lock();
            inner.outbox.mend();
            if inner.saved != Saved::Yes {
                inner.save();
            }
            inner.gauge();
            inner.outbox.to_sync()
        };
        // Without the lock: whoever tells an event must not wait for a disk.
        if let Err(error) = file.and_then(|file| file.map_or(Ok(()), |file| file.sync_data())) {
            tracing::error!(%error, "the outbox is not synced; a power cut may take what waits in it");
        }
    }

    /// Whether Redis has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().outbox.front().is_none()
    }

    /// Ends when something was lost and there is room again.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// How far the API was told.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.lock().memory.mark.clone()
    }

    /// From now on something may be missing that no event will tell.
    pub fn interrupted(&self) {
        self.lock().caught_up = false;
    }

    /// The page's store was compared: nothing is missing any more.
    pub fn caught_up(&self) {
        let mut inner = self.lock();
        if inner.overflowed {
            return;
        }
        inner.caught_up = true;
        inner.mark.complete = true;
        if inner.outbox.front().is_none() {
            inner.keep_mark();
        }
    }

    /// What is known of the link.
    #[must_use]
    pub fn link(&self) -> Link {
        self.lock().memory.link
    }

    /// Remembers the link.
    pub fn set_link(&self, link: Link) {
        let mut inner = self.lock();
        if inner.memory.link != link {
            inner.memory.link = link;
            inner.save();
        }
    }

    /// The account that was linked last.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        self.lock().memory.account.clone()
    }

    /// Remembers the account, and gives it with all that is known of it.
    pub fn linked(&self, account: &Account, now: Timestamp) -> Account {
        let mut inner = self.lock();
        let before = inner.memory.account.clone();
        let account = inner.memory.linked(account, now);
        if before.as_ref().map(|known| &known.id) != Some(&account.id) {
            inner.mark = Mark::default();
            inner.caught_up = false;
        }
        if before.as_ref() != Some(&account) {
            inner.save();
        }
        account
    }

    /// A message is sent under this id, and is told under it whatever id WhatsApp gives it.
    pub fn sends(&self, chosen: &MessageId) {
        self.lock().expected.add(chosen);
    }

    /// Whether the API was told of a message in the page's store, or will be without anybody looking for it.
    #[must_use]
    pub fn knows(&self, id: &MessageId, sent_at: Timestamp) -> bool {
        let mut inner = self.lock();
        let chosen = inner.chosen(id);
        let id = chosen.as_ref().unwrap_or(id);
        // Before the first comparison nothing is expected to be known; what had no room is looked for when there is room.
        !inner.mark.complete || inner.overflowed || inner.told.contains(id) || !inner.mark.misses(sent_at, id)
    }

    /// Remembers that WhatsApp has another id for a message.
    pub fn learn_alias(&self, chosen: &MessageId, actual: &MessageId) {
        let mut inner = self.lock();
        if chosen != actual && inner.memory.chosen(actual).is_none() {
            inner.memory.learn_alias(chosen, actual);
            inner.save();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The event as it is told, and whether it is new.
    fn prepare(&mut self, event: Event) -> (Event, bool) {
        match event {
            Event::Message(message) => {
                let message = self.under_known_id(message);
                let new = !self.told.contains(&message.id);
                (Event::Message(message), new)
            }
            Event::Ack(mut ack) => {
                if let Some(chosen) = self.chosen(&ack.id) {
                    ack.id = chosen;
                }
                (Event::Ack(ack), true)
            }
            other => (other, true),
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
    fn chosen(&mut self, actual: &MessageId) -> Option<MessageId> {
        if let Some(chosen) = self.memory.chosen(actual) {
            return Some(chosen.clone());
        }
        let chosen = self.expected.chosen(actual)?.clone();
        self.memory.learn_alias(&chosen, actual);
        self.save();
        Some(chosen)
    }

    fn keep_mark(&mut self) {
        if self.caught_up && self.memory.mark != self.mark {
            self.memory.mark = self.mark.clone();
            // An older mark costs a message told again, and a sync for each message would cost
            // more than that.
            self.saved = Saved::Soon;
        }
    }

    fn save(&mut self) {
        let saved = self.memory.save(&self.path);
        self.saved = if saved.is_ok() { Saved::Yes } else { Saved::Failed };
        if let Err(error) = saved {
            // What is not remembered is told again after the next start; nothing is lost by that.
            tracing::error!(%error, "what the session remembers cannot be saved; trying again");
        }
    }

    fn gauge(&self) {
        let failing = self.saved == Saved::Failed || !self.outbox.is_on_volume();
        metrics::VOLUME_FAILING.set(f64::from(u8::from(failing)), []);
        metrics::OUTBOX_BYTES.set_count(usize::try_from(self.outbox.bytes()).unwrap_or(usize::MAX), []);
        metrics::OUTBOX_EVENTS.set_count(self.outbox.waiting().len(), []);
    }
}

/// Settles the journal again and again until `stop`. Whoever stops it settles once more when the last event is told.
pub async fn keep_on_disk(journal: Journal, stop: CancellationToken) {
    while tokio::time::timeout(SYNC_EVERY, stop.cancelled()).await.is_err() {
        let journal = journal.clone();
        // Fails only when it panicked, and nothing in it does.
        let _ = tokio::task::spawn_blocking(move || journal.settle()).await;
    }
}

fn chat_of(id: &MessageId) -> Option<ChatId> {
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

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

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
}

#[cfg(test)]
mod tests {
    use relay::Ack;

    use super::fixtures::message;
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Journal {
        Journal::open(folder.path(), 1 << 20).expect("opens")
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const CHOSEN: &str = "true_5511999999999@c.us_3EB01";
    const ACTUAL: &str = "true_100000000000001@lid_3EB01";

    #[tokio::test]
    async fn a_message_is_told_once_also_across_a_restart_while_it_waits() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = open(&folder);
        journal.tell(message(CHOSEN, 1), NOW);
        journal.tell(message(CHOSEN, 1), NOW);
        let journal = open(&folder);
        journal.tell(message(CHOSEN, 1), NOW);
        let _ = journal.next().await;
        journal.sent();
        assert!(journal.is_empty());
    }

    #[tokio::test]
    async fn a_message_has_the_chosen_id_for_life() {
        let folder = tempfile::tempdir().expect("folder");
        let (chosen, actual): (MessageId, MessageId) = (CHOSEN.parse().expect("valid"), ACTUAL.parse().expect("valid"));
        open(&folder).learn_alias(&chosen, &actual);
        let journal = open(&folder);
        journal.tell(message(ACTUAL, 1), NOW);
        journal.tell(Event::Ack(Ack { id: actual, ack: 2 }), NOW);
        let Event::Message(told) = journal.next().await.event else { panic!("a message") };
        assert_eq!((told.id.as_str(), told.chat.as_str()), (CHOSEN, "5511999999999@c.us"));
        journal.sent();
        assert_eq!(journal.next().await.event, Event::Ack(Ack { id: chosen, ack: 2 }));
    }

    #[tokio::test]
    async fn a_message_that_whatsapp_files_elsewhere_is_one_row_before_its_send_is_answered() {
        let folder = tempfile::tempdir().expect("folder");
        let (chosen, actual): (MessageId, MessageId) = (CHOSEN.parse().expect("valid"), ACTUAL.parse().expect("valid"));
        let journal = open(&folder);
        journal.sends(&chosen);
        journal.tell(message(ACTUAL, 1), NOW);
        let Event::Message(told) = journal.next().await.event else { panic!("a message") };
        assert_eq!((told.id.as_str(), told.chat.as_str()), (CHOSEN, "5511999999999@c.us"));
        assert!(journal.knows(&actual, told.sent_at));
        journal.sent();
        // Of its receipts the next process hears.
        let journal = open(&folder);
        journal.tell(Event::Ack(Ack { id: actual, ack: 3 }), NOW);
        assert_eq!(journal.next().await.event, Event::Ack(Ack { id: chosen, ack: 3 }));
    }

    #[tokio::test]
    async fn what_is_in_the_store_and_was_never_told_is_not_known() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = open(&folder);
        let at = |second| Timestamp::from_second(second).expect("valid");
        let other: MessageId = "true_5511999999999@c.us_3EB0FF".parse().expect("valid");
        journal.tell(message(CHOSEN, 10_000), NOW);
        assert!(journal.knows(&CHOSEN.parse().expect("valid"), at(10_000)), "it waits in the outbox");
        journal.sent();
        journal.caught_up();
        assert!(!journal.knows(&other, at(10_001)) && !journal.knows(&other, at(10_000)));
        assert!(journal.knows(&other, at(9_000)), "older than what the last comparison covered");
    }

    #[tokio::test]
    async fn the_mark_follows_redis_and_only_while_nothing_is_missing() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = open(&folder);
        journal.tell(message("true_5511999999999@c.us_3EB01", 10), NOW);
        journal.caught_up();
        assert_eq!(journal.mark(), Mark::default(), "Redis does not have it yet");
        journal.sent();
        let told = journal.mark();
        assert!(
            told.complete && !told.misses(Timestamp::from_second(9).expect("valid"), &CHOSEN.parse().expect("valid"))
        );

        journal.interrupted();
        journal.tell(message("true_5511999999999@c.us_3EB02", 20), NOW);
        journal.sent();
        assert_eq!(journal.mark(), told, "an older message may still be missing");
        journal.caught_up();
        assert_ne!(journal.mark(), told);
        journal.settle();
        assert_eq!(open(&folder).mark(), journal.mark());
    }

    #[tokio::test]
    async fn what_had_no_room_is_looked_for_when_there_is_room() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = Journal::open(folder.path(), 600).expect("opens");
        let messages: Vec<_> = (0..10).map(|n| message(&format!("true_5511999999999@c.us_3EB0{n}"), 1)).collect();
        let tell = || messages.iter().for_each(|message| journal.tell(message.clone(), NOW));
        let drain = || {
            let mut taken = 0;
            while !journal.is_empty() {
                journal.sent();
                taken += 1;
            }
            taken
        };
        tell();
        let mut taken = drain();
        assert!(taken > 0 && taken < 10, "{taken}");
        tokio::time::timeout(std::time::Duration::from_secs(1), journal.lost()).await.expect("told");
        // Each look at the page's store tells those that have room now, and none twice.
        for _ in 0..10 {
            tell();
            taken += drain();
        }
        assert_eq!(taken, 10);
    }
}
