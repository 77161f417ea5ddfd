//! The folders that the browser writes. They are touched only by the holder of the lease: two browsers on one profile
//! destroy it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Locks that a browser leaves behind when its pod dies. With another host name in them Chromium refuses to start.
const LOCK_PREFIX: &str = "Singleton";

/// Makes the folders and removes the locks of a browser that cannot live any more, because we hold the lease. Gives the
/// number of locks that were removed.
pub fn prepare(profile: &Path, scratch: &Path) -> io::Result<usize> {
    for folder in [profile, &home(scratch), &temporary(scratch)] {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    let mut removed = 0;
    for entry in std::fs::read_dir(profile)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(LOCK_PREFIX) {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The browser's home.
#[must_use]
pub fn home(scratch: &Path) -> std::path::PathBuf {
    scratch.join("home")
}

/// The browser's folder for temporary files.
#[must_use]
pub fn temporary(scratch: &Path) -> std::path::PathBuf {
    scratch.join("browser")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_go_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let profile = folder.path().join("profile");
        std::fs::create_dir_all(profile.join("Default")).expect("made");
        // As Chromium leaves it: a link to nowhere that names host and pid.
        std::os::unix::fs::symlink("other-host-42", profile.join("SingletonLock")).expect("linked");
        std::fs::write(profile.join("Local State"), "{}").expect("written");

        assert_eq!(prepare(&profile, &folder.path().join("scratch")).expect("prepared"), 1);

        assert!(std::fs::symlink_metadata(profile.join("SingletonLock")).is_err());
        assert!(profile.join("Local State").exists() && profile.join("Default").exists());
    }
}
