//! Whether the session of a pod that does not come to its end must have stopped, so that the pod may be taken away by force.
//! Pure.
//!
//! Taking a pod's object away stops nothing on its node. What stops the session there is its lease: it closes its browser
//! within 12 s after the last renewal that succeeded, and the lease runs out after 15 s. So three things are asked for
//! together: the grace of the pod is over by a margin, by this process' own steady clock; Redis answers; and it goes on saying
//! for as long as a lease lives that this pod does not hold it ([`crate::memory::Silences`]). A node that is cut off from the
//! API server but not from Redis keeps its session.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

/// Twice the 15 s of the lease: a kubelet that is only slow gets its chance, too.
pub const MARGIN: Duration = Duration::from_secs(30);

/// Until the next look at a lease that is held, or that cannot be read. As long as a lease lives.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What Redis says about the lease of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Nobody asked, or Redis did not answer.
    Unknown,
    /// The pod that is asked about does not hold it.
    NotHeld,
    /// It does.
    Held,
}

/// A pod that has been seen on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// For so long, by this process' own clock.
    pub lasted: Duration,
    /// What it gets besides its grace; [`MARGIN`], except in tests.
    pub margin: Duration,
}

/// What may be done about a pod that is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// Nothing yet; look again after this.
    Wait(Duration),
    /// Its session has stopped, and cannot write anything any more.
    Fenced,
}

impl Ending {
    /// The time until the pod's lease is worth a look; nothing when it is.
    #[must_use]
    pub fn left(self, pod: &Pod) -> Option<Duration> {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let due = Duration::from_secs(u64::try_from(grace).unwrap_or_default()) + self.margin;
        due.checked_sub(self.lasted).filter(|left| !left.is_zero())
    }
}

/// Judges a pod that is being deleted.
#[must_use]
pub fn fencing(pod: &Pod, ending: Ending, lease: Lease) -> Fencing {
    match ending.left(pod) {
        Some(left) => Fencing::Wait(left),
        None if lease == Lease::NotHeld => Fencing::Fenced,
        None => Fencing::Wait(LOOK_AGAIN),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connection::plan::fixtures::{being_deleted, connection, pod};

    proptest! {
        #[test]
        fn no_pod_is_taken_away_before_its_grace_and_its_lease_are_over(
            grace in proptest::option::of(0_i64..600), seconds in 0_u64..1200, lease in 0_usize..3,
        ) {
            let lease = [Lease::Unknown, Lease::NotHeld, Lease::Held][lease];
            let mut pod = being_deleted(pod(&connection(), 1));
            pod.metadata.deletion_grace_period_seconds = grace;
            let ending = Ending { lasted: Duration::from_secs(seconds), margin: MARGIN };
            match fencing(&pod, ending, lease) {
                Fencing::Fenced => {
                    prop_assert_eq!(lease, Lease::NotHeld);
                    prop_assert!(seconds >= u64::try_from(grace.unwrap_or(0)).expect("positive") + 30);
                }
                Fencing::Wait(wait) => prop_assert!(!wait.is_zero() && wait <= Duration::from_secs(630)),
            }
        }
    }
}
