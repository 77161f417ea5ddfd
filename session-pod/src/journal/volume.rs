//! The volume under the journal, and whether it takes what is written to it. The browser keeps the login there, too, and
//! says nothing when it cannot.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::metrics;

/// Less than this, and the page's databases cannot grow by a block of theirs.
const FULL: u64 = 1 << 20;

/// As much as this, and there is room again. More than [`FULL`], or a browser that tidies up would be told of each time.
const ROOM: u64 = 4 << 20;

/// Where the session keeps what it must.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The file of what the session remembers.
    pub(super) fn memory(&self) -> PathBuf {
        self.path.join("session.json")
    }

    /// The file of what Redis does not have.
    pub(super) fn outbox(&self) -> PathBuf {
        self.path.join("outbox")
    }

    /// Whether nothing more goes onto the volume. One that does not say how full it is, is not.
    pub(super) fn is_full(&self, was: bool) -> bool {
        rustix::fs::statvfs(&self.path).is_ok_and(|volume| {
            let free = volume.f_bavail.saturating_mul(volume.f_frsize);
            // Some say that they hold nothing at all, and mean that they do not count.
            volume.f_blocks > 0 && free < if was { ROOM } else { FULL }
        })
    }
}

/// What is known of the volume.
pub(super) struct Volume {
    pub(super) full: bool,
    /// It did not take the memory; every `settle` tries again.
    pub(super) refused: bool,
    failing: watch::Sender<bool>,
}

impl Volume {
    pub(super) fn new(full: bool) -> Self {
        Self { full, refused: false, failing: watch::Sender::new(false) }
    }

    /// Tells whoever wants to know, with what is known of the outbox.
    pub(super) fn tell(&self, has_outbox: bool) {
        let failing = self.full || self.refused || !has_outbox;
        metrics::VOLUME_FAILING.set(f64::from(u8::from(failing)), []);
        self.failing.send_if_modified(|was| std::mem::replace(was, failing) != failing);
    }

    /// Whether it fails, and when that changes.
    pub(super) fn failing(&self) -> watch::Receiver<bool> {
        self.failing.subscribe()
    }
}
