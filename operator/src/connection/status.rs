//! What is told about a connection: conditions, phase and details, from what was seen. Pure.

mod phase;
pub(crate) mod pod;
mod session;
mod verdict;

use crds::{ConditionType, Disconnect, Engine, Reason, State, Volume, WhatsAppConnection, WhatsAppConnectionStatus};
use jiff::Timestamp;
use kube::ResourceExt;
use relay::SessionStatus;

use super::Hindrance;
use super::error::{Class, Error};
use super::observe::Observed;
use super::ownership::{Ownership, ownership};
use super::validate::Invalid;
use pod::Around;
use verdict::{Verdict, time};

/// The next status, after the one that stands.
pub fn next(
    connection: &WhatsAppConnection,
    before: Option<&WhatsAppConnectionStatus>,
    hindrance: &Hindrance<'_>,
    seen: &Observed,
    now: Timestamp,
) -> WhatsAppConnectionStatus {
    let before = before.cloned().unwrap_or_default();
    let pod = seen.own_pod();
    // What an earlier pod said last is history: nothing may be called connected on its word.
    let session = seen.session.as_ref().filter(|s| pod.and_then(ResourceExt::uid).as_deref() == Some(&s.pod_uid));
    let accepted = accepted(hindrance, &before);
    let pod_ready = match (pod_ready(connection, &before, hindrance, seen), session.and_then(|s| s.reason.as_deref())) {
        // Why a browser does not start, the session knows best.
        (Verdict { reason: Reason::Starting, message, .. }, Some(own)) => {
            Verdict::saying(Reason::Starting, &format!("{message} {own}"))
        }
        (verdict, _) => verdict,
    };
    let session = session.filter(|_| pod_ready.holds);
    let linked = match &seen.lost_volume {
        Some(lost) => lost_volume(lost),
        None => session::linked(session, &before),
    };
    let connected = session::connected(session, &pod_ready, &linked);
    let ready = [&accepted, &pod_ready, &linked, &connected]
        .into_iter()
        .find(|verdict| !verdict.holds)
        .cloned()
        .unwrap_or_else(Verdict::good);
    let phase = phase::phase(&accepted, connection.spec.state, &pod_ready, &linked, &connected);
    let verdicts = [accepted, pod_ready, linked, connected, ready];
    let conditions = ConditionType::ALL
        .into_iter()
        .zip(verdicts)
        .map(|(kind, verdict)| verdict.condition(kind, &before.conditions, connection.metadata.generation, now))
        .collect();
    WhatsAppConnectionStatus {
        observed_generation: connection.metadata.generation,
        phase: Some(phase),
        conditions,
        pod: pod.map(pod::summary),
        volume: volume(seen, &before),
        account: session::account(session, &before),
        last_connected_at: session.and_then(|s| s.last_connected_at).map(time).or(before.last_connected_at),
        last_disconnect: session
            .and_then(|s| s.last_disconnect.as_ref())
            .map(|lost| Disconnect { at: time(lost.at), reason: lost.reason.clone() })
            .or(before.last_disconnect),
        engine: session.and_then(engine).or(before.engine),
    }
}

/// The next status while nothing can be seen of the connection, because of its namespace. What was known last is not taken
/// back: pods go on without us.
pub fn unready_namespace(
    connection: &WhatsAppConnection,
    before: Option<&WhatsAppConnectionStatus>,
    error: &Error,
    now: Timestamp,
) -> WhatsAppConnectionStatus {
    let before = before.cloned().unwrap_or_default();
    let refused = Verdict::seen(Reason::NamespaceNotReady, &error.to_string());
    let conditions = ConditionType::ALL.map(|kind| {
        let told = |verdict: Verdict| verdict.condition(kind, &before.conditions, connection.metadata.generation, now);
        match kind {
            ConditionType::Accepted | ConditionType::Ready => told(refused.clone()),
            ConditionType::PodReady | ConditionType::Linked | ConditionType::Connected => {
                before.condition(kind).cloned().unwrap_or_else(|| told(Verdict::bad(Reason::Unknown)))
            }
        }
    });
    WhatsAppConnectionStatus {
        observed_generation: connection.metadata.generation,
        phase: Some(crds::Phase::Rejected),
        conditions: conditions.to_vec(),
        ..before
    }
}

fn accepted(hindrance: &Hindrance<'_>, before: &WhatsAppConnectionStatus) -> Verdict {
    match hindrance {
        Hindrance::None => Verdict::good(),
        Hindrance::Invalid(Invalid { reason, message }) => Verdict::saying(*reason, message),
        Hindrance::Failed(error) => match error.class() {
            Class::Blocked(reason) => Verdict::seen(reason, &error.to_string()),
            Class::Transient => Verdict::good(),
        },
        Hindrance::Waiting => Verdict::remembered(before, ConditionType::Accepted).unwrap_or_else(Verdict::good),
    }
}

fn pod_ready(
    connection: &WhatsAppConnection,
    before: &WhatsAppConnectionStatus,
    hindrance: &Hindrance<'_>,
    seen: &Observed,
) -> Verdict {
    match (connection.spec.state, seen.own_pod()) {
        (State::Suspended, None) => Verdict::bad(Reason::Suspended),
        (State::Suspended, Some(_)) => Verdict::saying(Reason::Suspended, "The pod is shutting down."),
        (State::Running, Some(pod)) => {
            let node_loss = connection.spec.node_loss;
            pod::ready(pod, &Around { claim: seen.claim.as_deref(), class: seen.storage_class, node_loss })
        }
        (State::Running, None) => match (&seen.lost_volume, leftover(hindrance, seen), hindrance) {
            (Some(lost), ..) => lost_volume(lost),
            (None, Some(name), _) => Verdict::seen(Reason::Leftover, &name),
            // Between two tries the reason for the last end goes on being the news.
            (None, None, Hindrance::Waiting) => {
                Verdict::remembered(before, ConditionType::PodReady).filter(|last| !last.holds).unwrap_or_else(making)
            }
            (None, None, _) => making(),
        },
    }
}

/// What is left of an earlier connection of this name.
fn leftover(hindrance: &Hindrance<'_>, seen: &Observed) -> Option<String> {
    if let Hindrance::Failed(Error::Leftover(name)) = hindrance {
        return Some(format!("Still there: {name}."));
    }
    let pod = seen.pod.as_deref().filter(|pod| ownership(*pod, &seen.id) == Ownership::Earlier);
    let claim = seen.claim.as_deref().filter(|claim| ownership(*claim, &seen.id) == Ownership::Earlier);
    let name = pod.map(|pod| format!("Pod {}", pod.name_any()));
    name.or_else(|| claim.map(|claim| format!("PersistentVolumeClaim {}", claim.name_any())))
        .map(|name| format!("Still there: {name}."))
}

fn making() -> Verdict {
    Verdict::saying(Reason::Starting, "The pod is being made.")
}

fn lost_volume(lost: &Volume) -> Verdict {
    Verdict::seen(Reason::VolumeLost, &format!("Claim: {}, UID {}.", lost.claim, lost.uid))
}

/// The volume that holds the link: the one that is there, or the one that is missed.
fn volume(seen: &Observed, before: &WhatsAppConnectionStatus) -> Option<Volume> {
    if let Some(lost) = &seen.lost_volume {
        return Some(lost.clone());
    }
    seen.own_claim()
        .and_then(|claim| Some(Volume { claim: claim.name_any(), uid: claim.uid()? }))
        .or_else(|| before.volume.clone())
}

fn engine(session: &SessionStatus) -> Option<Engine> {
    let versions = &session.engine;
    let browser = versions.browser.clone()?;
    Some(Engine { browser, whatsapp_web: versions.whatsapp_web.clone(), wa_js: versions.wa_js.clone() })
}

#[cfg(test)]
mod tests;
