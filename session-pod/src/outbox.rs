//! The events that Redis does not have yet, in memory and in a file on the volume, so that neither a crash of ours nor an
//! absence of Redis loses one. Written before they are sent; synced to disk once a second by [`crate::journal`], and only
//! while something waits. A volume that fails stops nothing: then memory alone keeps them until it takes them again.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use relay::{Event, TraceParent};
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
    /// What it happened in the course of, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "TraceParent::lenient")]
    pub trace: Option<TraceParent>,
}

/// Why an event was not kept.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// There is no room for it.
    #[error("the outbox is full: {bytes} of {limit} bytes")]
    Full {
        /// Size of what waits.
        bytes: u64,
        /// Largest size.
        limit: u64,
    },
    /// It does not become JSON.
    #[error("outbox: {0}")]
    Encode(#[from] serde_json::Error),
}

/// The queue and its file.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    file: File,
    /// Size of the file, with what was taken off since it was written anew.
    bytes: u64,
    /// Largest size of the file, and of what waits.
    limit: u64,
    waiting: VecDeque<(Record, u64)>,
    /// Size of what waits.
    waiting_bytes: u64,
    /// The file does not say what waits, because the volume failed: it must be written anew.
    stale: bool,
    /// Something in the file may not be on the disk yet.
    unsynced: bool,
}

impl Outbox {
    /// Opens the file and reads what an earlier process left. A last line that was cut off by a crash was never
    /// acknowledged to anybody and is dropped.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let content = match std::fs::read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let waiting = left(&content);
        let waiting_bytes = waiting.iter().map(|(_, size)| size).sum();
        let bytes = size_of(&content);
        let file = append_to(path)?;
        let mut outbox =
            Self { path: path.to_owned(), file, bytes, limit, waiting, waiting_bytes, stale: true, unsynced: false };
        // A full volume is no reason not to start: what waits is known, and sending it may be what makes room.
        outbox.mend();
        Ok(outbox)
    }

    /// Keeps an event until it is taken off; in memory only while the volume fails.
    pub fn push(&mut self, record: Record) -> Result<(), OutboxError> {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        let size = size_of(&line);
        let waiting_bytes = self.waiting_bytes.saturating_add(size);
        if waiting_bytes > self.limit {
            return Err(OutboxError::Full { bytes: self.waiting_bytes, limit: self.limit });
        }
        if self.bytes.saturating_add(size) > self.limit {
            self.stale = true;
            self.mend();
        }
        self.write(&line);
        self.waiting.push_back((record, size));
        self.waiting_bytes = waiting_bytes;
        Ok(())
    }

    /// The oldest event.
    #[must_use]
    pub fn front(&self) -> Option<&Record> {
        self.waiting.front().map(|(record, _)| record)
    }

    /// Takes the oldest event off. Should the volume not learn of that, it is sent again after a crash, which harms
    /// nobody: events have ids.
    pub fn pop(&mut self) -> Option<Record> {
        let (record, size) = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
        if self.waiting.is_empty() {
            // The usual case: nothing waits, and the file starts again from nothing.
            match self.file.set_len(0) {
                Ok(()) => (self.bytes, self.stale, self.unsynced) = (0, false, false),
                Err(error) => self.failed(&error),
            }
        } else {
            self.write(TAKEN);
        }
        Some(record)
    }

    /// All events that wait, oldest first.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.waiting.iter().map(|(record, _)| record)
    }

    /// Size of the file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the file says what waits. While it does not, a crash of ours loses what only memory has.
    #[must_use]
    pub const fn is_on_volume(&self) -> bool {
        !self.stale
    }

    /// Writes the file anew when it does not say what waits.
    pub fn mend(&mut self) {
        if self.stale
            && let Err(error) = self.compact()
        {
            tracing::warn!(%error, waiting = self.waiting.len(), "the outbox cannot be written; memory keeps it");
        }
    }

    /// The file, when it must be synced for what waits to survive a power cut. Who takes it syncs it.
    pub fn to_sync(&mut self) -> io::Result<Option<File>> {
        if !std::mem::take(&mut self.unsynced) || self.waiting.is_empty() {
            return Ok(None);
        }
        self.file.try_clone().map(Some)
    }

    /// In one call to the kernel, so that a crash of ours leaves no half line. A full volume may take half of it: that
    /// half is taken back, or it would spoil the next line as well.
    fn write(&mut self, line: &[u8]) {
        if self.stale {
            return;
        }
        match self.file.write_all(line) {
            Ok(()) => {
                self.bytes = self.bytes.saturating_add(size_of(line));
                self.unsynced = true;
            }
            Err(error) => {
                let _ = self.file.set_len(self.bytes);
                self.failed(&error);
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.stale = true;
        tracing::error!(%error, "the volume does not take the outbox; memory keeps it until it does");
    }

    /// Writes the file anew with what waits only. On disk before it takes the old one's place, or a power cut could
    /// leave neither.
    fn compact(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut content = Vec::new();
        for (record, _) in &self.waiting {
            serde_json::to_writer(&mut content, record)?;
            content.push(b'\n');
        }
        // A file that is left from a crash in the middle of this is of no use to anybody.
        let _ = std::fs::remove_file(&fresh);
        let written = append_to(&fresh).and_then(|mut file| {
            file.write_all(&content)?;
            file.sync_data()?;
            std::fs::rename(&fresh, &self.path)?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                (self.file, self.stale, self.unsynced) = (file, false, false);
                self.bytes = size_of(&content);
                Ok(())
            }
            Err(error) => {
                // On a full volume half a file would take the room that the whole one needs.
                let _ = std::fs::remove_file(&fresh);
                Err(error)
            }
        }
    }
}

fn size_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What was not taken off. A line that cannot be read keeps its place until then: what took it off takes off no other.
fn left(content: &[u8]) -> VecDeque<(Record, u64)> {
    let mut waiting = VecDeque::new();
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line == TAKEN {
            waiting.pop_front();
        } else if let Ok(record) = serde_json::from_slice(line) {
            waiting.push_back(Some((record, size_of(line))));
        } else {
            tracing::warn!(bytes = line.len(), "a line of the outbox cannot be read and is dropped");
            waiting.push_back(None);
        }
    }
    waiting.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relay::{Outcome, SessionState, StateChange};
    use uuid::Uuid;

    use super::*;

    fn record(number: u128) -> Record {
        let event = Event::CommandDone { command: Uuid::from_u128(number), outcome: Outcome::Done };
        Record { at: Timestamp::UNIX_EPOCH, event, trace: None }
    }

    fn open(folder: &tempfile::TempDir) -> Outbox {
        Outbox::open(&folder.path().join("outbox"), 4096).expect("opens")
    }

    #[test]
    fn a_line_that_cannot_be_read_is_taken_off_by_its_own_mark() {
        let line = |number| serde_json::to_string(&record(number)).expect("encodes");
        let content = format!("{}\nunreadable\n{}\n-\n-\n{}\n", line(1), line(2), line(3));
        let left: Vec<_> = left(content.as_bytes()).into_iter().map(|(record, _)| record).collect();
        assert_eq!(left, [record(2), record(3)]);
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
        outbox.pop().expect("one");
        outbox.push(record(9)).expect("room again");
    }

    /// Everything that is written fails, and nothing can be taken back.
    fn fill_the_volume(outbox: &mut Outbox) {
        outbox.file = OpenOptions::new().append(true).open("/dev/full").expect("opens");
    }

    fn all(outbox: &Outbox) -> Vec<Record> {
        outbox.waiting().cloned().collect()
    }

    #[test]
    fn a_volume_that_fails_costs_no_event_and_gets_all_when_it_is_well() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        outbox.push(record(1)).expect("room");
        outbox.file.write_all(br#"{"at":"2026-01-01T00:00:00Z","ev"#).expect("written");
        fill_the_volume(&mut outbox);
        outbox.push(record(2)).expect("kept in memory");
        outbox.push(record(3)).expect("kept in memory");
        assert!(!outbox.is_on_volume());
        assert_eq!(outbox.pop(), Some(record(1)));
        outbox.mend();
        assert!(outbox.is_on_volume());
        assert_eq!(all(&open(&folder)), [record(2), record(3)]);
    }

    #[test]
    fn memory_is_as_bounded_as_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        fill_the_volume(&mut outbox);
        let kept = (0..1000).take_while(|n| outbox.push(record(*n)).is_ok()).count();
        assert!((10..100).contains(&kept), "{kept}");
        assert!(matches!(outbox.push(record(9)), Err(OutboxError::Full { .. })));
    }

    #[test]
    fn an_event_that_cannot_be_marked_as_taken_off_is_taken_off_all_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        (1..=3).for_each(|number| outbox.push(record(number)).expect("room"));
        fill_the_volume(&mut outbox);
        assert_eq!(outbox.pop(), Some(record(1)));
        assert_eq!(all(&outbox), [record(2), record(3)]);
        outbox.mend();
        assert_eq!(all(&open(&folder)), [record(2), record(3)]);
    }

    #[test]
    fn only_what_waits_is_synced_and_only_once() {
        let folder = tempfile::tempdir().expect("folder");
        let mut outbox = open(&folder);
        assert!(outbox.to_sync().expect("a handle").is_none());
        outbox.push(record(1)).expect("room");
        assert!(outbox.to_sync().expect("a handle").is_some());
        assert!(outbox.to_sync().expect("a handle").is_none());
        outbox.push(record(2)).expect("room");
        let _ = (outbox.pop(), outbox.pop());
        assert!(outbox.to_sync().expect("a handle").is_none(), "Redis has it");
    }

    #[test]
    fn events_of_every_kind_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("folder");
        let event = Event::State(StateChange { state: SessionState::Connected, reason: Some("X".to_owned()) });
        let record = Record { at: Timestamp::UNIX_EPOCH, event, trace: None };
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
                    prop_assert_eq!(outbox.pop(), model.pop_front());
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
