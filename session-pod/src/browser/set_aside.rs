//! Puts a browser profile aside whose link is gone, before another phone is linked: nothing of the old account reaches
//! the new one, and whoever must find out why it went still finds it on the volume.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Profiles that are kept: the last one, and one in case the logout repeats. Each is some tens of MB of a volume of 1 GiB.
const KEPT: usize = 2;

/// What the page loads again by itself; it makes up most of a profile.
const CACHES: [&str; 4] =
    ["Default/Cache", "Default/Code Cache", "Default/GPUCache", "Default/Service Worker/CacheStorage"];

/// Moves the profile into the folder of those that are kept, under its date, and removes all but the newest of these.
/// A profile that is not there is aside already.
pub fn set_aside(profile: &Path, now: Timestamp) -> io::Result<()> {
    let folder = folder(profile);
    std::fs::create_dir_all(&folder)?;
    for cache in CACHES {
        absent_is_fine(std::fs::remove_dir_all(profile.join(cache)))?;
    }
    // Names that sort by time. Two within a second do not happen: a browser has run in between.
    let name = now.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    absent_is_fine(std::fs::rename(profile, folder.join(name)))?;
    // The browser expects its folder.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(profile)?;
    let mut kept = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    kept.sort();
    let surplus = kept.len().saturating_sub(KEPT);
    for old in kept.into_iter().take(surplus) {
        absent_is_fine(std::fs::remove_dir_all(old))?;
    }
    Ok(())
}

/// Beside the profile, so that moving is renaming.
#[must_use]
pub fn folder(profile: &Path) -> PathBuf {
    profile.with_file_name("profiles-set-aside")
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_profiles_are_kept_without_their_caches_and_a_fresh_one_begins() {
        let volume = tempfile::tempdir().expect("folder");
        let profile = volume.path().join("profile");
        for second in 0..4 {
            std::fs::create_dir_all(profile.join("Default/Cache")).expect("made");
            std::fs::write(profile.join("Local State"), second.to_string()).expect("written");
            set_aside(&profile, Timestamp::from_second(second).expect("valid")).expect("set aside");
            assert_eq!(std::fs::read_dir(&profile).expect("there").count(), 0, "the new one is empty");
        }
        let mut kept: Vec<_> =
            std::fs::read_dir(folder(&profile)).expect("there").map(|entry| entry.expect("readable").path()).collect();
        kept.sort();
        let names: Vec<_> = kept.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["1970-01-01T00-00-02Z", "1970-01-01T00-00-03Z"]);
        assert!(!kept[0].join("Default/Cache").exists() && kept[0].join("Local State").exists());
    }
}
