//! Another time of day for a program under test, by libfaketime. Time that passes stays what it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The clock of a program: what stands in its file (`+1h`, `-1h`, `+0`) is added to the time of day, from then on.
#[derive(Debug)]
pub struct Clock(PathBuf);

impl Clock {
    /// A clock that is right, kept in a folder of the test's.
    pub fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set("+0");
        clock
    }

    /// From now on it is so wrong.
    ///
    /// # Panics
    /// When the folder is gone.
    #[expect(clippy::expect_used, reason = "a test without what it stands on has failed")]
    pub fn set(&self, offset: &str) {
        // At once: the program may read at any moment.
        let whole = self.0.with_extension("new");
        fs::write(&whole, offset).expect("written");
        fs::rename(whole, &self.0).expect("in its place");
    }

    /// What makes a program live by it.
    ///
    /// # Panics
    /// Without libfaketime.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

#[expect(clippy::expect_used, reason = "a test without what it stands on has failed")]
fn library() -> PathBuf {
    let mut found = fs::read_dir("/usr/lib").expect("libraries").filter_map(|entry| {
        let library = entry.ok()?.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    found.next().expect("libfaketime (`make deps`)")
}
