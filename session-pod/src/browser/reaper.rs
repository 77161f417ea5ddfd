//! The duty of an init process: children whose parents died become ours and stay as zombies until they are waited for.
//! Children of our own are left to whoever started them, or their `wait` would find nothing.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Looked at this often even without a signal: several deaths may come as one SIGCHLD.
const SWEEP: Duration = Duration::from_secs(10);

/// The children that are ours to wait for. Clones share it.
#[derive(Clone, Default, Debug)]
pub struct Children(Arc<Mutex<BTreeSet<u32>>>);

/// A child that the reaper leaves alone for as long as this lives.
#[derive(Debug)]
pub struct Owned {
    children: Children,
    pid: u32,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.children.lock().remove(&self.pid);
    }
}

impl Children {
    /// Starts a child that its starter waits for. Under the lock, so that even one that dies at once is not reaped
    /// from under its starter.
    pub fn spawn(&self, command: &mut Command) -> io::Result<(Child, Owned)> {
        let mut owned = self.lock();
        let child = command.spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the child has no pid"))?;
        owned.insert(pid);
        drop(owned);
        Ok((child, Owned { children: self.clone(), pid }))
    }

    /// Waits for all zombies that nobody else waits for. Gives their number.
    pub fn reap(&self) -> io::Result<usize> {
        let owned = self.lock();
        let mut reaped = 0;
        for pid in zombies()?.into_iter().filter(|pid| !owned.contains(pid)) {
            let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
            // Not ours after all, or gone: either way there is nothing left to do for it.
            if let Ok(Some(_)) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                reaped += 1;
            }
        }
        Ok(reaped)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our zombies by /proc: `waitid` itself would tell of a dead child, but not of which one without taking it.
fn zombies() -> io::Result<Vec<u32>> {
    let mine = std::process::id();
    let mut zombies = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the listing and the reading.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if is_zombie_of(&stat, mine) {
            zombies.push(pid);
        }
    }
    Ok(zombies)
}

/// `pid (name) state parent …`; the name may hold spaces and parentheses.
fn is_zombie_of(stat: &str, parent: u32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut fields = rest.split(' ');
    fields.next() == Some("Z") && fields.next().and_then(|field| field.parse().ok()) == Some(parent)
}

/// Reaps until `stop`.
pub async fn run(children: Children, stop: CancellationToken) -> io::Result<()> {
    let mut died = signal(SignalKind::child())?;
    loop {
        let reaped = children.reap()?;
        if reaped > 0 {
            tracing::debug!(reaped, "orphans reaped");
            crate::metrics::ORPHANS_REAPED.add(reaped, []);
        }
        tokio::select! {
            _ = died.recv() => {}
            () = tokio::time::sleep(SWEEP) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_told_by_its_state_and_parent_whatever_its_name() {
        assert!(is_zombie_of("7 (a) b) Z 1 7 7 0", 1));
        assert!(!is_zombie_of("7 (a) S 1 7 7 0", 1));
        assert!(!is_zombie_of("7 (Z 1) S 2 7 7 0", 1));
        assert!(!is_zombie_of("", 1));
    }
}
