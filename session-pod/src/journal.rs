//! The one way for an event to the API: told once, under the id that the API knows, kept in the outbox until Redis has
//! it. Clones share it. What is written here reaches the disk itself within a second ([`keep_on_disk`]).

#[cfg(test)]
pub(crate) mod fixtures;
mod inner;
mod told;
mod volume;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use relay::{Account, Event, MessageId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::expected::Expected;
use crate::memory::{Mark, Memory};
use crate::outbox::{Outbox, Record};
use crate::session::Link;
use inner::{Inner, Saved};
use told::Told;
use volume::{Folder, Volume};

/// What a power cut may take of the events that Redis does not have: as much as it takes of Redis itself, whose own file
/// is synced as often (`appendfsync everysec`).
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The journal of a session.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
    /// Taken before `inner`, and held while a disk takes its time.
    folder: Arc<Mutex<Folder>>,
    filled: Arc<Notify>,
    lost: Arc<Notify>,
}

impl Journal {
    /// Opens the files in the folder.
    pub fn open(folder: &Path, outbox_bytes: u64) -> io::Result<Self> {
        let folder = Folder::new(folder);
        let memory = Memory::load(&folder.memory())?;
        let outbox = Outbox::open(&folder.outbox(), outbox_bytes)?;
        let mut told = Told::default();
        for record in outbox.waiting() {
            if let Event::Message(message) = &record.event {
                told.add(&message.id);
            }
        }
        let mark = memory.mark.clone();
        let inner = Inner {
            outbox,
            memory,
            told,
            expected: Expected::default(),
            caught_up: false,
            overflowed: false,
            mark,
            saved: Saved::Yes,
            volume: Volume::new(folder.is_full(false)),
        };
        inner.gauge();
        let journal = Self {
            inner: Arc::new(Mutex::new(inner)),
            folder: Arc::new(Mutex::new(folder)),
            filled: Arc::new(Notify::new()),
            lost: Arc::new(Notify::new()),
        };
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
        let event = inner.prepare(event);
        // Before anybody can read it: were we killed in between, receipts would be told under an id that the API has not.
        let mut inner = self.saved(inner);
        if inner.put(event, at, again) {
            self.filled.notify_one();
        }
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
        if self.lock().saved != Saved::Yes {
            self.save();
        }
        // One lock after the other, and none while the volume is asked: one that hangs holds nobody up who only reads.
        let was_full = self.lock().volume.full;
        let folder = self.folder().clone();
        let full = folder.is_full(was_full);
        let file = {
            let mut inner = self.lock();
            inner.volume.full = full;
            inner.outbox.mend();
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
            drop(inner);
            self.save();
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
        drop(inner);
        if before.as_ref() != Some(&account) {
            self.save();
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
        let inner = self.saved(inner);
        !inner.mark.complete || inner.overflowed || inner.told.contains(id) || !inner.mark.misses(sent_at, id)
    }

    /// Remembers that WhatsApp has another id for a message.
    pub fn learn_alias(&self, chosen: &MessageId, actual: &MessageId) {
        let mut inner = self.lock();
        if chosen != actual && inner.memory.chosen(actual).is_none() {
            inner.memory.learn_alias(chosen, actual);
            drop(inner);
            self.save();
        }
    }

    /// Whether the volume takes what is written to it, and when that changes.
    #[must_use]
    pub fn volume_failing(&self) -> watch::Receiver<bool> {
        self.lock().volume.failing()
    }

    /// Saves first where that is due, without the lock.
    fn saved<'a>(&'a self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        if inner.saved != Saved::Now {
            return inner;
        }
        drop(inner);
        self.save();
        self.lock()
    }

    /// Writes what the session remembers, one writer at a time and without the lock that whoever tells an event needs.
    fn save(&self) {
        let folder = self.folder();
        let memory = {
            let mut inner = self.lock();
            inner.saved = Saved::Yes;
            inner.memory.clone()
        };
        let saved = memory.save(&folder.memory());
        let mut inner = self.lock();
        inner.volume.refused = saved.is_err();
        if let Err(error) = saved {
            // What is not remembered is told again after the next start; nothing is lost by that.
            tracing::error!(%error, "what the session remembers cannot be saved; trying again");
            inner.save_by(Saved::Soon);
        }
        inner.gauge();
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn whoever_settles_and_whoever_remembers_never_wait_for_one_another() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = open(&folder);
        let (settling, (done, finished)) = (journal.clone(), std::sync::mpsc::channel());
        let also_done = done.clone();
        std::thread::spawn(move || {
            (0..20_000).for_each(|_| settling.settle());
            let _ = done.send(());
        });
        std::thread::spawn(move || {
            for n in 0..3000 {
                journal.set_link(if n % 2 == 0 { Link::Linked } else { Link::Open });
                journal.tell(message(&format!("true_5511999999999@c.us_3EB{n:03}"), n), NOW);
                journal.sent();
            }
            let _ = also_done.send(());
        });
        for _ in 0..2 {
            finished.recv_timeout(Duration::from_mins(1)).expect("neither hangs");
        }
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
