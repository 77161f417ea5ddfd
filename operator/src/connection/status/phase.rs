//! The one word that sums the conditions up. Printed for people; no program reads it. Pure.

use crds::{Phase, Reason, State};

use super::verdict::Verdict;

/// The phase.
pub(super) fn phase(
    accepted: &Verdict,
    desired: State,
    pod_ready: &Verdict,
    linked: &Verdict,
    connected: &Verdict,
) -> Phase {
    if !accepted.holds {
        return Phase::Rejected;
    }
    if desired == State::Suspended {
        return Phase::Suspended;
    }
    match pod_ready.reason {
        Reason::AsExpected => {}
        Reason::Starting | Reason::Replacing => return Phase::Starting,
        _ => return Phase::Degraded,
    }
    if connected.holds {
        return Phase::Connected;
    }
    match (linked.reason, connected.reason) {
        (Reason::AwaitingQr | Reason::AwaitingPairingCode | Reason::PasskeyRequired | Reason::QrIdle, _) => {
            Phase::Linking
        }
        (Reason::LoggedOut | Reason::Banned, _) | (_, Reason::Conflict | Reason::Outdated | Reason::Deaf) => {
            Phase::Degraded
        }
        (_, Reason::Syncing | Reason::Reconnecting) => Phase::Connecting,
        _ => Phase::Starting,
    }
}
