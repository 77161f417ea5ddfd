//! Takes the lease on the session, and keeps it for as long as the process lives. Without it nothing may touch the
//! profile; when it is lost everything stops at once.

use std::time::Duration;

use relay::{Acquired, ConnectionId, Lease, Redis, RelayError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::RedisClock;
use crate::guard::Guard;
use crate::health::Parts;

/// Longest pause between two tries for a lease that somebody else holds. They may give it back at any time.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Between two tries when a renewal failed: several fit into the time after which we give up.
const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// A lease that is ours, and since when at the earliest: it runs from when Redis got the question.
#[derive(Debug, Clone)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    /// Redis' clock, read with each renewal.
    pub clock: RedisClock,
    since: Instant,
}

impl Held {
    /// Since when it is ours at the earliest.
    #[must_use]
    pub fn since(&self) -> std::time::Instant {
        self.since.into_std()
    }
}

/// What this pod has seen, by a clock that nobody sets, of the one that holds the lease. Redis ends leases by its own clock;
/// when that is set forward they end early, and when it is set back they outlive their holders.
#[derive(Debug, Default)]
struct Other {
    /// Until when it may be at work, as far as Redis last said.
    until: Option<Instant>,
    /// Since when its lease has been longer than any that was just renewed.
    overlong_since: Option<Instant>,
}

impl Other {
    /// It holds the lease for so long, as was asked at that moment.
    fn seen(&mut self, left: Duration, asked: Instant) {
        self.until = Some(asked + left.min(Lease::TIME_TO_LIVE));
        self.overlong_since = if left > Lease::TIME_TO_LIVE { self.overlong_since.or(Some(asked)) } else { None };
    }

    /// Whether it has not renewed its lease for as long as one lives.
    fn is_silent(&self, now: Instant) -> bool {
        self.overlong_since.is_some_and(|since| now.saturating_duration_since(since) >= Lease::TIME_TO_LIVE)
    }

    /// How long it may be at work still: one of which nothing was seen may have renewed just before its lease was gone.
    fn may_work_for(&self, now: Instant) -> Duration {
        if self.is_silent(now) {
            return Duration::ZERO;
        }
        self.until.map_or(Lease::TIME_TO_LIVE, |until| until.saturating_duration_since(now))
    }
}

/// Waits until the lease is ours, and nobody else can be at work. Nothing when the process is to end before that.
pub async fn acquire(
    redis: &mut Redis,
    connection: ConnectionId,
    holder: &str,
    health: &Parts,
    stop: &CancellationToken,
) -> Option<Held> {
    let (mut other, mut waits) = (Other::default(), false);
    loop {
        let since = Instant::now();
        let taking = async {
            if other.is_silent(since) {
                Lease::take_over(redis, connection, holder).await
            } else {
                Lease::acquire(redis, connection, holder).await
            }
        };
        let answer = tokio::select! {
            () = stop.cancelled() => return None,
            answer = taking => answer,
        };
        health.redis.follow(&answer);
        let pause = match answer {
            Ok(Acquired::Held(lease)) => {
                let clock = RedisClock::new(lease.taken_at, since);
                let mut held = Held { lease, clock, since };
                if !held.lease.was_free {
                    let wait = other.may_work_for(since);
                    tracing::info!(wait_ms = wait.as_millis(), "the pod before did not give its lease back");
                    let outlasted = tokio::select! {
                        () = stop.cancelled() => {
                            release(&held.lease, redis, TRY_AGAIN).await;
                            return None;
                        }
                        outlasted = outlast(&mut held, wait, redis) => outlasted,
                    };
                    if let Err(error) = outlasted {
                        tracing::warn!(%error, "the lease was lost before its session began");
                        continue;
                    }
                }
                tracing::info!(fence = %held.lease.fence, "lease acquired");
                health.lease.open();
                return Some(held);
            }
            Ok(Acquired::HeldByOther(left)) => {
                other.seen(left, since);
                if !std::mem::replace(&mut waits, true) {
                    tracing::info!(left_ms = left.as_millis(), "another pod holds the lease; waiting");
                    health.lease.close("another pod holds it");
                }
                left.clamp(Duration::from_millis(100), TRY_AGAIN)
            }
            Err(error) => {
                crate::metrics::REDIS_ERRORS.count(["lease"]);
                tracing::warn!(%error, "the lease cannot be asked for");
                TRY_AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Holds the lease for so long without making use of it: then whoever had it has stopped, because nobody works for longer
/// than that after a last renewal.
async fn outlast(held: &mut Held, wait: Duration, redis: &mut Redis) -> Result<(), RelayError> {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Lease::RENEW_EVERY)).await;
        if left <= Lease::RENEW_EVERY {
            held.lease.confirm(redis).await?;
        }
        let asked = Instant::now();
        let now = held.lease.renew(redis).await?;
        held.clock.read(now, asked);
        held.since = asked;
        if left <= Lease::RENEW_EVERY {
            return Ok(());
        }
    }
}

/// Why the lease is lost.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Redis says that it is not ours any more.
    #[error("the session was taken over, or its lease ran out")]
    Fenced,
    /// It could not be renewed for so long that somebody may take it.
    #[error("the lease could not be renewed in time")]
    Silent,
}

/// Renews the lease until `stop`, or until it is lost. While Redis is away nobody can take the session over, but a pod
/// cannot tell an absent Redis from one that only it does not reach: both end it in time (`docs/decisions.md`).
/// The guard learns of each renewal, and of the loss.
pub async fn keep(held: Held, redis: Redis, health: Parts, guard: Guard, stop: CancellationToken) -> Result<(), Lost> {
    let kept = renew(held, redis, &health, &guard, stop).await;
    if kept.is_err() {
        guard.lost(std::time::Instant::now());
        health.lease.close("lost");
    }
    kept
}

async fn renew(
    held: Held,
    mut redis: Redis,
    health: &Parts,
    guard: &Guard,
    stop: CancellationToken,
) -> Result<(), Lost> {
    let Held { lease, clock, since: mut renewed } = held;
    let mut pause = Lease::RENEW_EVERY;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let asked = Instant::now();
        let answer = tokio::time::timeout_at(renewed + Lease::GIVE_UP_AFTER, lease.renew(&mut redis)).await;
        pause = match answer {
            Ok(Ok(now)) => {
                health.redis.open();
                clock.read(now, asked);
                renewed = asked;
                guard.renewed(asked.into_std());
                Lease::RENEW_EVERY
            }
            Ok(Err(RelayError::Fenced { .. })) => return Err(Lost::Fenced),
            Ok(Err(error)) => {
                crate::metrics::REDIS_ERRORS.count(["lease"]);
                tracing::warn!(%error, "the lease was not renewed");
                health.redis.close(error.to_string());
                RENEW_AGAIN
            }
            Err(_) => return Err(Lost::Silent),
        };
        if renewed.elapsed() + pause >= Lease::GIVE_UP_AFTER {
            pause = Lease::GIVE_UP_AFTER.saturating_sub(renewed.elapsed());
            if pause.is_zero() {
                return Err(Lost::Silent);
            }
        }
    }
}

/// Gives the lease back, so that the next pod need not wait for it to run out.
pub async fn release(lease: &Lease, redis: &mut Redis, deadline: Duration) {
    match tokio::time::timeout(deadline, lease.release(redis)).await {
        Ok(Ok(())) => tracing::info!("lease given back"),
        Ok(Err(error)) => tracing::warn!(%error, "the lease is left to run out"),
        Err(_) => tracing::warn!("the lease is left to run out: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_holder_of_whom_nothing_was_seen_may_be_at_work_as_long_as_a_lease_lives() {
        let (mut other, start) = (Other::default(), Instant::now());
        assert_eq!(other.may_work_for(start), Lease::TIME_TO_LIVE);
        other.seen(seconds(9), start);
        assert_eq!(other.may_work_for(start + seconds(2)), seconds(7), "gone early, by a clock that was set");
        assert_eq!(other.may_work_for(start + seconds(9)), Duration::ZERO, "seen to run out");
    }

    #[test]
    fn a_lease_that_is_too_long_is_believed_as_long_as_one_lives_and_not_when_it_is_renewed() {
        let (mut other, start) = (Other::default(), Instant::now());
        other.seen(seconds(3600), start);
        other.seen(seconds(3590), start + seconds(10));
        assert!(!other.is_silent(start + seconds(14)));
        assert!(other.is_silent(start + seconds(15)));
        assert_eq!(other.may_work_for(start + seconds(15)), Duration::ZERO);
        other.seen(seconds(15), start + seconds(15));
        assert!(!other.is_silent(start + seconds(16)), "its holder lives");
        other.seen(seconds(3600), start + seconds(20));
        assert!(!other.is_silent(start + seconds(34)), "set back once more");
    }
}
