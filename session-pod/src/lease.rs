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

/// For giving back what was not made use of.
const RELEASE: Duration = Duration::from_secs(2);

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
struct Other(Option<Seen>);

/// A lease that another pod was seen to hold.
#[derive(Debug)]
struct Seen {
    /// It is another one after each renewal.
    value: String,
    /// Until when its holder may be at work, if it has not renewed since: it did before it was first seen to.
    works_until: Instant,
}

impl Other {
    /// It holds this lease, as Redis answered at that moment.
    fn seen(&mut self, value: String, at: Instant) {
        if self.value() != Some(value.as_str()) {
            self.0 = Some(Seen { value, works_until: at + Lease::TIME_TO_LIVE });
        }
    }

    fn value(&self) -> Option<&str> {
        self.0.as_ref().map(|seen| seen.value.as_str())
    }

    /// The lease that was seen not to be renewed for as long as one lives.
    fn silent(&self, now: Instant) -> Option<&str> {
        self.0.as_ref().filter(|seen| seen.works_until <= now).map(|seen| seen.value.as_str())
    }

    /// How long its holder may be at work still, now that the lease is ours and this was its last one. What nobody saw may have
    /// been renewed just before.
    fn may_work_for(&self, last: &str, now: Instant) -> Duration {
        let seen = self.0.as_ref().filter(|seen| seen.value == last);
        seen.map_or(Lease::TIME_TO_LIVE, |seen| seen.works_until.saturating_duration_since(now))
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
            match other.silent(since) {
                Some(silent) => Lease::take_over(redis, connection, holder, silent).await,
                None => Lease::acquire(redis, connection, holder, other.value()).await,
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
                if let Some(last) = &held.lease.not_given_back {
                    let wait = other.may_work_for(last, since);
                    tracing::info!(wait_ms = wait.as_millis(), "the pod before may be at work still; waiting");
                    health.lease.close("the pod before may be at work still");
                    let outlasted = tokio::select! {
                        () = stop.cancelled() => {
                            release(&held.lease, redis, RELEASE).await;
                            return None;
                        }
                        outlasted = outlast(&mut held, wait, redis, health) => outlasted,
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
            Ok(Acquired::HeldByOther { left, value }) => {
                other.seen(value, Instant::now());
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
/// than that after a last renewal. Fails when the lease is lost meanwhile.
async fn outlast(held: &mut Held, wait: Duration, redis: &mut Redis, health: &Parts) -> Result<(), RelayError> {
    let end = Instant::now() + wait;
    let mut pause = Lease::RENEW_EVERY;
    loop {
        tokio::time::sleep_until(end.min(Instant::now() + pause)).await;
        let (asked, is_over) = (Instant::now(), Instant::now() >= end);
        let answer = held.lease.renew(redis).await;
        let answer = match answer {
            Ok(now) if is_over => held.lease.confirm(redis).await.map(|()| now),
            answer => answer,
        };
        health.redis.follow(&answer);
        match answer {
            Ok(now) => {
                held.clock.read(now, asked);
                held.since = asked;
                if is_over {
                    return Ok(());
                }
                pause = Lease::RENEW_EVERY;
            }
            Err(error @ RelayError::Fenced { .. }) => return Err(error),
            Err(error) => {
                crate::metrics::REDIS_ERRORS.count(["lease"]);
                tracing::warn!(%error, "the lease was not renewed");
                pause = RENEW_AGAIN;
                if is_over {
                    tokio::time::sleep(RENEW_AGAIN).await;
                }
            }
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
    // An answer may have taken long.
    let mut pause = Lease::RENEW_EVERY.saturating_sub(renewed.elapsed());
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
    fn a_holder_may_be_at_work_for_as_long_as_a_lease_lives_after_it_may_have_renewed() {
        let (mut other, start) = (Other::default(), Instant::now());
        assert_eq!(other.may_work_for("a#1#0", start), Lease::TIME_TO_LIVE, "nobody saw it");
        other.seen("a#1#0".to_owned(), start);
        other.seen("a#1#0".to_owned(), start + seconds(6));
        assert_eq!(other.may_work_for("a#1#0", start + seconds(9)), seconds(6), "it renewed before the first look");
        assert_eq!(other.may_work_for("a#1#1", start + seconds(9)), Lease::TIME_TO_LIVE, "nobody saw the last renewal");
        other.seen("a#1#1".to_owned(), start + seconds(10));
        assert_eq!(other.may_work_for("a#1#1", start + seconds(20)), seconds(5));
        assert_eq!(other.may_work_for("a#1#1", start + seconds(26)), Duration::ZERO);
    }

    #[test]
    fn a_lease_that_goes_on_is_believed_as_long_as_one_lives_and_not_when_it_is_renewed() {
        let (mut other, start) = (Other::default(), Instant::now());
        assert_eq!(other.silent(start), None);
        other.seen("a#1#0".to_owned(), start);
        assert_eq!(other.silent(start + seconds(14)), None);
        assert_eq!(other.silent(start + seconds(15)), Some("a#1#0"));
        other.seen("a#1#1".to_owned(), start + seconds(15));
        assert_eq!(other.silent(start + seconds(29)), None, "its holder lives");
    }
}
