//! What is told about a connection: conditions, phase and details, from what was seen. Pure.

use crds::{
    Account, ConditionType, Disconnect, Engine, Phase, PodSummary, Reason, State, WhatsAppConnection,
    WhatsAppConnectionStatus,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use relay::{LinkKind, SessionState, SessionStatus};

use super::Hindrance;
use super::build::pod::CONTAINER;
use super::error::Class;
use super::observe::Observed;
use super::validate::Invalid;

/// The kubelet's word for a container that ended several times and waits before it is started again.
const CRASH_LOOP_WAITING: &str = "CrashLoopBackOff";

/// One condition before it is compared with what stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    holds: bool,
    reason: Reason,
    message: String,
}

impl Verdict {
    fn good() -> Self {
        Self { holds: true, reason: Reason::AsExpected, message: String::new() }
    }

    fn bad(reason: Reason) -> Self {
        Self { holds: false, reason, message: reason.meaning().trim().to_owned() }
    }

    fn because(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: false, reason, message: message.into() }
    }
}

/// The next status.
pub fn next(
    connection: &WhatsAppConnection,
    hindrance: &Hindrance<'_>,
    seen: &Observed,
    now: Timestamp,
) -> WhatsAppConnectionStatus {
    let before = connection.status.clone().unwrap_or_default();
    let pod = seen.pod.as_deref().filter(|pod| super::observe::belongs_to(*pod, &seen.id));
    // What an earlier pod said last is history: nothing may be called connected on its word.
    let session = seen.session.as_ref().filter(|s| pod.and_then(ResourceExt::uid).as_deref() == Some(&s.pod_uid));
    let accepted = accepted(hindrance, &before);
    let pod_ready = pod_ready(connection.spec.state, pod);
    let session = session.filter(|_| pod_ready.holds);
    let linked = linked(session, &before);
    let connected = connected(session, &pod_ready, &linked);
    let ready = [&accepted, &pod_ready, &linked, &connected]
        .into_iter()
        .find(|verdict| !verdict.holds)
        .cloned()
        .unwrap_or_else(Verdict::good);
    let phase = phase(&accepted, connection.spec.state, &pod_ready, &linked, &connected);
    let verdicts = [accepted, pod_ready, linked, connected, ready];
    let conditions = ConditionType::ALL
        .into_iter()
        .zip(verdicts)
        .map(|(kind, verdict)| condition(kind, verdict, &before.conditions, connection.metadata.generation, now))
        .collect();
    WhatsAppConnectionStatus {
        observed_generation: connection.metadata.generation,
        phase: Some(phase),
        conditions,
        pod: pod.map(summary),
        account: account(session, &before),
        last_connected_at: session.and_then(|s| s.last_connected_at).map(time).or(before.last_connected_at),
        last_disconnect: session
            .and_then(|s| s.last_disconnect.as_ref())
            .map(|lost| Disconnect { at: time(lost.at), reason: lost.reason.clone() })
            .or(before.last_disconnect),
        engine: session
            .and_then(|s| {
                let browser = s.engine.browser.clone()?;
                Some(Engine { browser, whatsapp_web: s.engine.whatsapp_web.clone(), wa_js: s.engine.wa_js.clone() })
            })
            .or(before.engine),
    }
}

fn accepted(hindrance: &Hindrance<'_>, before: &WhatsAppConnectionStatus) -> Verdict {
    match hindrance {
        Hindrance::None => Verdict::good(),
        Hindrance::Invalid(Invalid { reason, message }) => Verdict::because(*reason, cut(message)),
        Hindrance::Failed(error) => match error.class() {
            Class::Blocked(reason) => Verdict::because(reason, cut(&error.to_string())),
            Class::Transient => Verdict::good(),
        },
        Hindrance::Waiting => remembered(before, ConditionType::Accepted).unwrap_or_else(Verdict::good),
    }
}

/// Longest message of ours. Events take 1 kB, conditions 32 kB, and what others say has no end.
const LONGEST: usize = 900;

fn cut(message: &str) -> String {
    message.chars().take(LONGEST).collect()
}

fn pod_ready(desired: State, pod: Option<&Pod>) -> Verdict {
    let Some(pod) = pod else {
        return match desired {
            State::Suspended => Verdict::bad(Reason::Suspended),
            State::Running => Verdict::because(Reason::Starting, "The pod is being made."),
        };
    };
    if desired == State::Suspended {
        return Verdict::because(Reason::Suspended, "The pod is shutting down.");
    }
    let status = pod.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().flatten().find(|c| c.type_ == kind);
    // Before the deletion: a pod of a lost node is deleted after five minutes and stays, because nobody there ends it.
    if status.reason.as_deref() == Some("NodeLost") || condition("Ready").is_some_and(|c| c.status == "Unknown") {
        return Verdict::bad(Reason::NodeLost);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Verdict::bad(Reason::Replacing);
    }
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        let why = status.reason.or(status.message).unwrap_or_else(|| "it ended".to_owned());
        return Verdict::because(Reason::Replacing, format!("The pod ended and is made again: {why}."));
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|c| c.status == "False") {
        return Verdict::because(Reason::Unschedulable, cut(scheduled.message.as_deref().unwrap_or_default()));
    }
    let Some(container) = session_container(status.container_statuses.as_ref()) else {
        return Verdict::because(Reason::Starting, "The container is being made.");
    };
    if let Some(waiting) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) {
        return waiting_for(container, waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref());
    }
    if condition("Ready").is_some_and(|c| c.status == "True") {
        Verdict::good()
    } else {
        Verdict::because(Reason::Starting, "The browser is starting.")
    }
}

fn waiting_for(container: &ContainerStatus, reason: &str, message: Option<&str>) -> Verdict {
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Verdict::because(Reason::ImagePull, cut(message.unwrap_or(reason)))
        }
        CRASH_LOOP_WAITING => {
            let exit = last_exit(container).unwrap_or_else(|| "unknown".to_owned());
            Verdict::because(
                Reason::CrashLooping,
                format!("The session ended {} times, last: {exit}.", container.restart_count),
            )
        }
        _ => Verdict::because(Reason::Starting, message.unwrap_or("The container is being made.")),
    }
}

fn session_container(statuses: Option<&Vec<ContainerStatus>>) -> Option<&ContainerStatus> {
    statuses.into_iter().flatten().find(|status| status.name == CONTAINER)
}

fn last_exit(container: &ContainerStatus) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    Some(format!("{} ({})", ended.reason.as_deref().unwrap_or("Exited"), ended.exit_code))
}

/// Whether a phone is linked. A pod that is away does not unlink anything: what was known last goes on holding.
fn linked(session: Option<&SessionStatus>, before: &WhatsAppConnectionStatus) -> Verdict {
    let remembered = || remembered(before, ConditionType::Linked).unwrap_or_else(|| Verdict::bad(Reason::Unknown));
    let Some(session) = session else { return remembered() };
    match session.state {
        SessionState::Syncing | SessionState::Connected | SessionState::Reconnecting | SessionState::Conflict => {
            Verdict::good()
        }
        SessionState::AwaitingLink => Verdict::bad(match session.link {
            Some(LinkKind::PairingCode) => Reason::AwaitingPairingCode,
            Some(LinkKind::Qr) | None => Reason::AwaitingQr,
        }),
        SessionState::QrIdle => Verdict::bad(Reason::QrIdle),
        SessionState::LoggedOut => Verdict::bad(Reason::LoggedOut),
        SessionState::Banned => Verdict::bad(Reason::Banned),
        SessionState::Starting | SessionState::Loading | SessionState::Outdated | SessionState::Stopping => {
            remembered()
        }
    }
}

/// What a condition said last, when it was written before.
fn remembered(before: &WhatsAppConnectionStatus, kind: ConditionType) -> Option<Verdict> {
    let last = before.conditions.iter().find(|c| c.type_ == kind.as_str())?;
    if last.status == "True" {
        return Some(Verdict::good());
    }
    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == last.reason).copied();
    Some(Verdict::because(reason.unwrap_or(Reason::Unknown), last.message.clone()))
}

fn connected(session: Option<&SessionStatus>, pod_ready: &Verdict, linked: &Verdict) -> Verdict {
    let Some(session) = session else {
        return if pod_ready.holds { Verdict::bad(Reason::Unknown) } else { pod_ready.clone() };
    };
    match session.state {
        SessionState::Connected => Verdict::good(),
        SessionState::Syncing => Verdict::bad(Reason::Syncing),
        SessionState::Reconnecting => Verdict::bad(Reason::Reconnecting),
        SessionState::Conflict => Verdict::bad(Reason::Conflict),
        SessionState::Outdated => {
            Verdict::because(Reason::Outdated, cut(session.reason.as_deref().unwrap_or_default()))
        }
        SessionState::Stopping => Verdict::bad(Reason::Stopping),
        SessionState::Starting | SessionState::Loading => Verdict::bad(Reason::Starting),
        SessionState::AwaitingLink | SessionState::QrIdle | SessionState::LoggedOut | SessionState::Banned => {
            linked.clone()
        }
    }
}

fn phase(accepted: &Verdict, desired: State, pod_ready: &Verdict, linked: &Verdict, connected: &Verdict) -> Phase {
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

/// `lastTransitionTime` moves only when the status does: people read it as "since".
fn condition(
    kind: ConditionType,
    verdict: Verdict,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = if verdict.holds { "True" } else { "False" };
    let since =
        before.iter().find(|c| c.type_ == kind.as_str() && c.status == status).map(|c| c.last_transition_time.clone());
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.as_str().to_owned(),
        message: verdict.message,
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| time(now)),
    }
}

/// Kubernetes keeps whole seconds; anything finer would differ from itself when read back.
fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

fn summary(pod: &Pod) -> PodSummary {
    let container = pod.status.as_ref().and_then(|status| session_container(status.container_statuses.as_ref()));
    PodSummary {
        name: pod.name_any(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        started_at: pod.status.as_ref().and_then(|status| status.start_time.clone()),
        restarts: container.map_or(0, |container| container.restart_count),
        last_exit: container.and_then(last_exit),
    }
}

fn account(session: Option<&SessionStatus>, before: &WhatsAppConnectionStatus) -> Option<Account> {
    match session {
        Some(SessionStatus { account: Some(account), .. }) => Some(Account {
            id: account.id.clone(),
            lid: account.lid.clone(),
            push_name: account.push_name.clone(),
            linked_at: account.linked_at.map(time),
        }),
        Some(SessionStatus {
            state: SessionState::LoggedOut | SessionState::AwaitingLink | SessionState::QrIdle,
            ..
        }) => None,
        _ => before.account.clone(),
    }
}

#[cfg(test)]
mod tests;
