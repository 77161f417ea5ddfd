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

/// Waits until the lease is ours. Nothing when the process is to end before that.
pub async fn acquire(
    redis: &mut Redis,
    connection: ConnectionId,
    holder: &str,
    health: &Parts,
    stop: &CancellationToken,
) -> Option<Held> {
    let mut waits = false;
    loop {
        let since = Instant::now();
        let answer = tokio::select! {
            () = stop.cancelled() => return None,
            answer = Lease::acquire(redis, connection, holder) => answer,
        };
        health.redis.follow(&answer);
        let pause = match answer {
            Ok(Acquired::Held(lease)) => {
                tracing::info!(fence = %lease.fence, "lease acquired");
                health.lease.open();
                let clock = RedisClock::new(lease.taken_at, since);
                return Some(Held { lease, clock, since });
            }
            Ok(Acquired::HeldByOther(left)) => {
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
