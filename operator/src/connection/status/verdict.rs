//! One condition before it is compared with what stood there. Pure.

use crds::{ConditionType, Reason, WhatsAppConnectionStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message of ours. Events take 1 kB, conditions 32 kB, and what others say has no end.
const LONGEST: usize = 900;

/// Whether something holds, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn good() -> Self {
        Self { holds: true, reason: Reason::AsExpected, message: String::new() }
    }

    /// Says what the reason always means.
    pub(super) fn bad(reason: Reason) -> Self {
        Self::saying(reason, reason.meaning().trim())
    }

    /// Says what the reason always means, which tells what to do, and then what was seen.
    pub(super) fn seen(reason: Reason, what: &str) -> Self {
        Self::saying(reason, &format!("{} {what}", reason.meaning().trim()))
    }

    /// Says only this.
    pub(super) fn saying(reason: Reason, message: &str) -> Self {
        Self { holds: false, reason, message: message.chars().take(LONGEST).collect() }
    }

    /// What a condition said last, when it was written before.
    pub(super) fn remembered(before: &WhatsAppConnectionStatus, kind: ConditionType) -> Option<Self> {
        let last = before.condition(kind)?;
        if last.status == "True" {
            return Some(Self::good());
        }
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == last.reason).copied();
        Some(Self::saying(reason.unwrap_or(Reason::Unknown), &last.message))
    }

    /// As the condition that is written. `lastTransitionTime` moves only when the status does: people read it as "since".
    pub(super) fn condition(
        self,
        kind: ConditionType,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let since = before
            .iter()
            .find(|c| c.type_ == kind.as_str() && c.status == status)
            .map(|c| c.last_transition_time.clone());
        Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: self.reason.as_str().to_owned(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: since.unwrap_or_else(|| time(now)),
        }
    }
}

/// Kubernetes keeps whole seconds; anything finer would differ from itself when read back.
pub(super) fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
