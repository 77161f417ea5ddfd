//! How a connection is right now: what the cluster wants and has, and what its session said last, as one word. Pure.

use crds::{ConditionType, State};
use jiff::Timestamp;
use relay::{Envelope, SessionState, SessionStatus};

use crate::fleet::Known;

/// The word for a connection that is kept offline. All others are a session's states.
pub const SUSPENDED: &str = "Suspended";

/// The word for a connection whose session has not spoken yet.
pub const STARTING: &str = "Starting";

/// One word, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// `Suspended` or a state of the session.
    pub status: &'static str,
    /// Why, as a CamelCase word.
    pub reason: Option<String>,
}

impl Live {
    /// Whether messages flow. A deaf session sends, and tells late of what comes in.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        [SessionState::Connected, SessionState::Deaf].iter().any(|state| state.as_str() == self.status)
    }

    /// Whether a phone is linked and a session runs that can unlink it.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        use SessionState::{Conflict, Connected, Deaf, Reconnecting, Syncing};
        [Connected, Syncing, Reconnecting, Deaf, Conflict].iter().any(|state| state.as_str() == self.status)
    }

    /// Whether the session waits to be asked for a new code: nobody used the last ones, or the link was removed.
    #[must_use]
    pub fn needs_a_new_code(&self) -> bool {
        use SessionState::{Banned, LoggedOut, QrIdle};
        [QrIdle, LoggedOut, Banned].iter().any(|state| state.as_str() == self.status)
    }
}

/// What is shown for a session's state under what the cluster wants: a session that ends because it is suspended is
/// suspended, and one that ends although it is wanted is on its way to a new start.
#[must_use]
pub fn shown(wanted: State, state: SessionState) -> &'static str {
    match (wanted, state) {
        (State::Suspended, _) => SUSPENDED,
        (State::Running, SessionState::Stopping) => STARTING,
        (State::Running, state) => state.as_str(),
    }
}

/// How the connection is.
#[must_use]
pub fn live(known: &Known, session: Option<&Envelope<SessionStatus>>) -> Live {
    if !known.wanted() {
        return Live { status: SUSPENDED, reason: None };
    }
    match session {
        Some(Envelope { header, payload }) if !pod_lost_since(known, header.at) => {
            Live { status: shown(State::Running, payload.state), reason: payload.reason.clone() }
        }
        _ => Live { status: STARTING, reason: reason(known) },
    }
}

/// Whether the operator saw the pod go after its session spoke last: then that word is of the past.
fn pod_lost_since(known: &Known, spoke: Timestamp) -> bool {
    condition(known, ConditionType::PodReady)
        .is_some_and(|condition| condition.status == "False" && condition.last_transition_time.0 > spoke)
}

/// Why the connection is not ready, in the operator's word.
fn reason(known: &Known) -> Option<String> {
    condition(known, ConditionType::Ready)
        .filter(|ready| ready.status != "True" && ready.observed_generation == known.resource.metadata.generation)
        .map(|ready| ready.reason.clone())
}

fn condition(
    known: &Known,
    wanted: ConditionType,
) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    known.resource.status.as_ref()?.condition(wanted)
}

#[cfg(test)]
mod tests {
    use relay::{EngineVersions, Fence};
    use serde_json::{Value, from_value, json};

    use super::*;

    fn known(state: &str, conditions: &Value) -> Known {
        let resource = json!({
            "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
            "metadata": {"name": "sales", "namespace": "company-acme", "generation": 2},
            "spec": {"companyId": "acme", "state": state},
            "status": {"conditions": conditions},
        });
        let id = "0190a1b2-0000-7000-8000-000000000001".parse().expect("valid");
        Known { id, company: "acme".parse().expect("valid"), resource: from_value(resource).expect("valid") }
    }

    fn pod_gone(at: &str) -> Value {
        json!([
            {"type": "PodReady", "status": "False", "reason": "Replacing", "message": "", "lastTransitionTime": at},
            {"type": "Ready", "status": "False", "reason": "Replacing", "message": "", "lastTransitionTime": at,
             "observedGeneration": 2},
        ])
    }

    fn said(state: SessionState, at: &str) -> Envelope<SessionStatus> {
        let at = at.parse().expect("valid");
        let status = SessionStatus {
            state,
            reason: None,
            since: at,
            sequence: 1,
            pod_uid: "pod".to_owned(),
            account: None,
            last_connected_at: None,
            last_disconnect: None,
            engine: EngineVersions::default(),
            link: None,
        };
        Envelope::new(at, Fence(1), status)
    }

    #[test]
    fn what_is_wanted_and_what_was_said_make_one_word() {
        const EARLY: &str = "2026-11-23T10:00:00Z";
        const LATE: &str = "2026-11-23T10:05:00Z";
        let nothing = json!([]);
        for (what, known, session, status, reason) in [
            ("suspended", known("Suspended", &nothing), Some(said(SessionState::Connected, LATE)), "Suspended", None),
            ("never spoke", known("Running", &nothing), None, "Starting", None),
            ("speaks", known("Running", &nothing), Some(said(SessionState::Connected, LATE)), "Connected", None),
            (
                "stops, yet is wanted",
                known("Running", &nothing),
                Some(said(SessionState::Stopping, LATE)),
                "Starting",
                None,
            ),
            (
                "its pod went after it spoke",
                known("Running", &pod_gone(LATE)),
                Some(said(SessionState::Connected, EARLY)),
                "Starting",
                Some("Replacing"),
            ),
            (
                "spoke after its pod was back",
                known("Running", &pod_gone(EARLY)),
                Some(said(SessionState::Connected, LATE)),
                "Connected",
                None,
            ),
        ] {
            let expected = Live { status, reason: reason.map(str::to_owned) };
            assert_eq!(live(&known, session.as_ref()), expected, "{what}");
        }
    }
}
