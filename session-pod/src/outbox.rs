//! The events that Redis does not have yet, in a file on the volume: written before they are sent, taken off when Redis
//! has answered, so that neither a crash of ours nor an absence of Redis loses one. Not synced to disk each time: what
//! a power cut takes is found again in the page's store, because the mark of `sync.rs` moves only after Redis.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use relay::Event;
use serde::{Deserialize, Serialize};

/// A line that says: the oldest event is taken off.
const TAKEN: &[u8] = b"-\n";

/// An event with the time at which it happened, which is not the time at which Redis gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// Why an event was not kept.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// There is no room for it.
    #[error("the outbox is full: {bytes} of {limit} bytes")]
    Full {
        /// Size of the file.
        bytes: u64,
        /// Largest size.
        limit: u64,
    },
    /// The volume does not take it.
    #[error("outbox: {0}")]
    Io(#[from] io::Error),
    /// It does not become JSON.
    #[error("outbox: {0}")]
    Encode(#[from] serde_json::Error),
}

/// The queue and its file.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
    waiting: VecDeque<Record>,
    /// The file does not say what waits, because a write failed: it must be written anew before anything is added.
    stale: bool,
}

impl Outbox {
    /// Opens the file and reads what an earlier process left. A last line that was cut off by a crash was never
    /// acknowledged to anybody and is dropped.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let waiting = match std::fs::read(path) {
            Ok(content) => left(&content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => VecDeque::new(),
            Err(error) => return Err(error),
        };
        let file = append_to(path)?;
        let mut outbox = Self { path: path.to_owned(), file, bytes: 0, limit, waiting, stale: false };
        outbox.compact()?;
        Ok(outbox)
    }

    /// Keeps an event until it is taken off.
    pub fn push(&mut self, record: Record) -> Result<(), OutboxError> {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        let size = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(size) > self.limit {
            self.compact()?;
        }
        if self.bytes.saturating_add(size) > self.limit {
            return Err(OutboxError::Full { bytes: self.bytes, limit: self.limit });
        }
        self.write(&line)?;
        self.waiting.push_back(record);
        Ok(())
    }

    /// The oldest event.
    #[must_use]
    pub fn front(&self) -> Option<&Record> {
        self.waiting.front()
    }

    /// Takes the oldest event off.
    pub fn pop(&mut self) -> Result<Option<Record>, OutboxError> {
        let taken = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // The usual case: nothing waits, and the file starts again from nothing.
            self.stale = true;
            self.file.set_len(0)?;
            (self.bytes, self.stale) = (0, false);
        } else if taken.is_some() && (self.stale || self.write(TAKEN).is_err()) {
            self.compact()?;
        }
        Ok(taken)
    }

    /// All events that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Record> {
        self.waiting.iter()
    }

    /// Size of the file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// In one call to the kernel, so that a crash of ours leaves no half line. A full volume may take half of it: that
    /// half is taken back, or it would spoil the next line as well.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.stale {
            self.compact()?;
        }
        if let Err(error) = self.file.write_all(line) {
            self.stale = self.file.set_len(self.bytes).is_err();
            return Err(error);
        }
        self.bytes = self.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        Ok(())
    }

    /// Writes the file anew with what waits only.
    fn compact(&mut self) -> Result<(), io::Error> {
        self.stale = true;
        let fresh = self.path.with_extension("new");
        let mut content = Vec::new();
        for record in &self.waiting {
            serde_json::to_writer(&mut content, record)?;
            content.push(b'\n');
        }
        // A file that is left from a crash in the middle of this is of no use to anybody.
        let _ = std::fs::remove_file(&fresh);
        let mut file = append_to(&fresh)?;
        file.write_all(&content)?;
        std::fs::rename(&fresh, &self.path)?;
        (self.file, self.stale) = (file, false);
        self.bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What was not taken off.
fn left(content: &[u8]) -> VecDeque<Record> {
    let mut waiting = VecDeque::new();
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line == TAKEN {
            waiting.pop_front();
        } else if let Ok(record) = serde_json::from_slice(line) {
            waiting.push_back(record);
        } else {
            tracing::warn!(bytes = line.len(), "a line of the outbox cannot be read and is dropped");
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relay::{Outcome, SessionState, StateChange};
    use uuid::Uuid;

    use super::*;

    fn record(number: u128) -> Record {
        let event = Event::CommandDone { command: Uuid::from_u128(number), outcome: Outcome::Done };
        Record { at: Timestamp::UNIX_EPOCH, event }
    }

    fn open(folder: &tempfile::TempDir) -> Outbox {
        Outbox::open(&folder.path().join("outbox"), 4096).expect("opens")
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_dropped_and_the_rest_kept() {
        let folder = tempfile::tempdir().expect("folder");
        open(&folder).push(record(1)).expect("room");
        let mut file = OpenOptions::new().append(true).open(folder.path().join("outbox")).expect("opens");
        file.write_all(br#"{"at":"2026-01-01T00:00:00Z","ev"#).expect("written");
        let mut outbox = open(&folder);
        assert_eq!(outbox.waiting().cloned().collect::<Vec<_>>(), [record(1)]);
        outbox.push(record(2)).expect("room");
        assert_eq!(open(&folder).waiting().count(), 2);
    }

    #[test]
    fn a_full_outbox_says_so_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        let kept = (0..1000).take_while(|n| outbox.push(record(*n)).is_ok()).count();
        assert!(kept > 10 && outbox.bytes() <= 4096, "{kept}");
        assert_eq!(open(&folder).waiting().count(), kept);
        outbox.pop().expect("written");
        outbox.push(record(9)).expect("room again");
    }

    /// Everything that is written fails, and nothing can be taken back.
    fn fill_the_volume(outbox: &mut Outbox) {
        outbox.file = OpenOptions::new().append(true).open("/dev/full").expect("opens");
    }

    #[test]
    fn a_write_that_fails_costs_its_own_event_and_no_other() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        outbox.push(record(1)).expect("room");
        outbox.file.write_all(br#"{"at":"2026-01-01T00:00:00Z","ev"#).expect("written");
        fill_the_volume(&mut outbox);
        assert!(matches!(outbox.push(record(2)), Err(OutboxError::Io(_))));
        outbox.push(record(3)).expect("room again");
        assert_eq!(open(&folder).waiting().cloned().collect::<Vec<_>>(), [record(1), record(3)]);
    }

    #[test]
    fn an_event_that_cannot_be_marked_as_taken_off_is_taken_off_all_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        (1..=3).for_each(|number| outbox.push(record(number)).expect("room"));
        fill_the_volume(&mut outbox);
        assert_eq!(outbox.pop().expect("compacted"), Some(record(1)));
        assert_eq!(open(&folder).waiting().cloned().collect::<Vec<_>>(), [record(2), record(3)]);
    }

    #[test]
    fn events_of_every_kind_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("folder");
        let event = Event::State(StateChange { state: SessionState::Connected, reason: Some("X".to_owned()) });
        let record = Record { at: Timestamp::UNIX_EPOCH, event };
        open(&folder).push(record.clone()).expect("room");
        assert_eq!(open(&folder).front(), Some(&record));
    }

    proptest! {
        #[test]
        fn whatever_is_done_a_restart_finds_the_same_queue(actions in proptest::collection::vec(any::<Option<u8>>(), 0..200)) {
            let folder = tempfile::tempdir().expect("folder");
            let mut outbox = open(&folder);
            let mut model = VecDeque::new();
            for action in actions {
                let Some(number) = action else {
                    prop_assert_eq!(outbox.pop().expect("written"), model.pop_front());
                    continue;
                };
                if outbox.push(record(number.into())).is_ok() {
                    model.push_back(record(number.into()));
                }
            }
            let expected: Vec<_> = model.into();
            prop_assert_eq!(open(&folder).waiting().cloned().collect::<Vec<_>>(), expected);
        }
    }
}
