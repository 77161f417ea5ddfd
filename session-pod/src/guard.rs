//! Ends the browser and the process when the lease runs out and nobody reacts. A disk that hangs may hold every thread of
//! the runtime, and with them whoever learns of the loss; then another pod would start a second browser on the account.
//! So this has a thread of its own, which waits for nothing that another thread or a disk may hold: no lock, and no file
//! but the kernel's own in /proc.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use relay::Lease;

use crate::browser::kill;
use crate::pod::Exit;

/// What the pod itself may take to close its browser when it gave the lease up ([`Lease::GIVE_UP_AFTER`], 12 s after the
/// last renewal). With these 2 s the guard acts after 14 s, and the lease ends after 15 s: one second is left for SIGKILL,
/// which takes milliseconds.
const REACTION: Duration = Duration::from_secs(2);

/// Without a renewal for so long it acts.
const ACTS_AFTER: Duration = Lease::GIVE_UP_AFTER.saturating_add(REACTION);

const _: () = assert!(ACTS_AFTER.as_millis() < Lease::TIME_TO_LIVE.as_millis());

/// Longest sleep of the thread. Shorter than [`REACTION`], so that a loss that comes early is seen in time.
const LOOK: Duration = Duration::from_millis(500);

/// For the last line of the log, whose reader may hang as well.
const LAST_LINE: Duration = Duration::from_millis(200);

/// No lease is held yet.
const IDLE: u64 = 0;
/// The pod has ended its browser, and holds no lease any more or is about to give it back.
const ENDED: u64 = u64::MAX;

/// What the pod tells its guard. Clones tell the same one. The default has no thread and ends nobody.
#[derive(Debug, Clone)]
pub struct Guard {
    epoch: Instant,
    /// When it acts, in milliseconds since the epoch, or one of the two words above.
    acts_at: Arc<AtomicU64>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { epoch: Instant::now(), acts_at: Arc::new(AtomicU64::new(IDLE)) }
    }
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Sleep(Duration),
    Act,
    End,
}

/// Pure: both times in milliseconds since the epoch.
fn turn(acts_at: u64, now: u64) -> Turn {
    match acts_at {
        IDLE => Turn::Sleep(LOOK),
        ENDED => Turn::End,
        _ if acts_at <= now => Turn::Act,
        _ => Turn::Sleep(Duration::from_millis(acts_at.saturating_sub(now)).min(LOOK)),
    }
}

impl Guard {
    /// A guard whose thread runs until the pod has ended, or ends the process.
    pub fn start() -> io::Result<Self> {
        let guard = Self::default();
        let watching = guard.clone();
        thread::Builder::new().name("lease-guard".to_owned()).spawn(move || watching.watch())?;
        Ok(guard)
    }

    /// The lease is ours, by a question that was asked then.
    pub fn renewed(&self, asked: Instant) {
        let acts_at = self.since_epoch(asked + ACTS_AFTER);
        self.change(|_| acts_at);
    }

    /// The lease is lost: whoever learned of it has [`REACTION`] to close the browser.
    pub fn lost(&self, now: Instant) {
        let acts_at = self.since_epoch(now + REACTION);
        self.change(|before| before.min(acts_at));
    }

    /// No browser runs any more and nothing touches the volume. Nothing that comes later counts.
    pub fn ended(&self) {
        self.acts_at.store(ENDED, Ordering::Release);
    }

    fn change(&self, to: impl Fn(u64) -> u64) {
        let _ = self
            .acts_at
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| (before != ENDED).then(|| to(before)));
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(ENDED - 1)
    }

    fn watch(&self) {
        loop {
            match turn(self.acts_at.load(Ordering::Acquire), self.since_epoch(Instant::now())) {
                Turn::Sleep(pause) => thread::sleep(pause),
                Turn::End => return,
                Turn::Act => act(),
            }
        }
    }
}

/// The browser first: a process of ours that is held in the kernel by a disk does not end before the disk answers, and
/// its namespace not before it.
fn act() -> ! {
    kill::children();
    let (said, heard) = mpsc::channel();
    let _ = thread::Builder::new().spawn(move || {
        tracing::error!("the lease ran out and the pod did not end; the browser is killed");
        said.send(())
    });
    let _ = heard.recv_timeout(LAST_LINE);
    // Whatever was started meanwhile.
    kill::children();
    std::process::exit(Exit::Fenced.code().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn_of(guard: &Guard, at: Instant) -> Turn {
        turn(guard.acts_at.load(Ordering::Acquire), guard.since_epoch(at))
    }

    #[test]
    fn it_acts_between_the_pods_own_end_and_the_end_of_the_lease() {
        let guard = Guard::default();
        let asked = guard.epoch + Duration::from_secs(100);
        assert_eq!(turn_of(&guard, asked + Lease::TIME_TO_LIVE), Turn::Sleep(LOOK), "no lease is held");
        guard.renewed(asked);
        assert_eq!(turn_of(&guard, asked + Lease::GIVE_UP_AFTER), Turn::Sleep(LOOK), "the pod's own turn");
        let just_before = asked + ACTS_AFTER.saturating_sub(Duration::from_millis(100));
        assert_eq!(turn_of(&guard, just_before), Turn::Sleep(Duration::from_millis(100)), "not late by a look");
        assert_eq!(turn_of(&guard, asked + ACTS_AFTER), Turn::Act);
        guard.renewed(asked + Lease::RENEW_EVERY);
        assert_eq!(turn_of(&guard, asked + ACTS_AFTER), Turn::Sleep(LOOK), "renewed since");
    }

    #[test]
    fn a_loss_brings_it_forward_and_never_puts_it_off() {
        let guard = Guard::default();
        let asked = guard.epoch + Duration::from_secs(100);
        guard.renewed(asked);
        guard.lost(asked + Duration::from_secs(5));
        assert_eq!(turn_of(&guard, asked + Duration::from_secs(5)), Turn::Sleep(LOOK));
        assert_eq!(turn_of(&guard, asked + Duration::from_secs(5) + REACTION), Turn::Act);
        guard.lost(asked + Lease::TIME_TO_LIVE);
        assert_eq!(turn_of(&guard, asked + Duration::from_secs(5) + REACTION), Turn::Act);
    }

    #[test]
    fn it_ends_nobody_who_has_ended_in_order() {
        let guard = Guard::default();
        guard.renewed(guard.epoch);
        guard.ended();
        guard.renewed(guard.epoch);
        guard.lost(guard.epoch);
        assert_eq!(turn_of(&guard, guard.epoch + Lease::TIME_TO_LIVE), Turn::End);
    }
}
