//! Kubernetes Events: told when something happens that a person should know, never on a timer and not on the ordinary way
//! up, and never with anything secret in them.

use crds::{ConditionType, Reason, WhatsAppConnection, WhatsAppConnectionStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use kube::runtime::events::{Event, EventType};
use relay::CompanyId;

use crate::connection::plan::DeleteReason;
use crate::connection::validate::ValidConnection;
use crate::context::Context;
use crate::metrics;

/// Longest wait for the API server to take an Event. An Event that is lost is a pity, not an error.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(3);

/// Tells of what changed between the status that stood there and the one just written.
pub async fn transition(
    connection: &WhatsAppConnection,
    before: Option<&WhatsAppConnectionStatus>,
    next: &WhatsAppConnectionStatus,
    context: &Context,
) {
    let about = connection.object_ref(&());
    let (was, is) =
        (before.and_then(|b| b.condition(ConditionType::PodReady)), next.condition(ConditionType::PodReady));
    // A pod that runs has nothing to say, unless its volume is going.
    if let Some(risk) = is.filter(|c| c.status == "True" && !c.message.is_empty())
        && was.is_none_or(|was| was.message != risk.message)
    {
        let note = risk.message.clone();
        publish(&about, EventType::Warning, "VolumeBeingDeleted", "Reconcile", note, context).await;
    }
    let (was, is) = (before.and_then(|b| b.condition(ConditionType::Ready)), next.condition(ConditionType::Ready));
    let Some(is) = is.filter(|is| was.is_none_or(|was| was.reason != is.reason)) else { return };
    let Some(reason) = Reason::ALL.iter().find(|reason| reason.as_str() == is.reason) else { return };
    metrics::transition(reason.as_str());
    tracing::info!(
        reason = reason.as_str(),
        connection = connection.metadata.uid.as_deref(),
        company = connection.spec.company_id,
        "transition"
    );
    match news(*reason) {
        News::None => {}
        News::Good => {
            publish(&about, EventType::Normal, "Connected", "Reconcile", "Messages flow.".to_owned(), context).await;
        }
        News::Bad => {
            publish(&about, EventType::Warning, reason.as_str(), "Reconcile", is.message.clone(), context).await;
        }
    }
}

/// Whether a reason is worth an Event.
enum News {
    None,
    Good,
    Bad,
}

/// What a person should be told of. The way up is no news: it is read from the conditions, and an Event costs the API
/// server as much as a status. Nor is what the scheduler, the provisioner or the kubelet tell in Events of their own,
/// nor the end of a pod, which is told when it is replaced.
const fn news(reason: Reason) -> News {
    match reason {
        Reason::AsExpected => News::Good,
        Reason::Starting
        | Reason::Replacing
        | Reason::Leftover
        | Reason::Suspended
        | Reason::AwaitingQr
        | Reason::AwaitingPairingCode
        | Reason::Syncing
        | Reason::Stopping
        | Reason::Unschedulable
        | Reason::StorageClassMissing
        | Reason::VolumePending
        | Reason::ImagePull
        | Reason::ContainerError
        | Reason::Evicted
        | Reason::Preempted
        | Reason::Unknown => News::None,
        Reason::InvalidSpec
        | Reason::CompanyMismatch
        | Reason::NamespaceNotReady
        | Reason::QuotaExceeded
        | Reason::NotOwned
        | Reason::ProxySecretMissing
        | Reason::VolumeLost
        | Reason::CrashLooping
        | Reason::OOMKilled
        | Reason::NodeLost
        | Reason::PasskeyRequired
        | Reason::QrIdle
        | Reason::LoggedOut
        | Reason::Banned
        | Reason::Reconnecting
        | Reason::Conflict
        | Reason::Deaf
        | Reason::Outdated => News::Bad,
    }
}

/// Tells that a pod is being deleted; as an Event where the status does not tell why.
pub async fn deleting_pod(connection: &ValidConnection, why: DeleteReason, context: &Context) {
    metrics::PODS_DELETED.count([why.as_str()]);
    tracing::info!(reason = ?why, connection = %connection.id, company = %connection.company, "deleting pod");
    let (kind, reason, note) = match why {
        // Whoever suspended it knows.
        DeleteReason::Suspended => return,
        DeleteReason::Ended(reason) => (EventType::Warning, reason.as_str(), reason.meaning().trim().to_owned()),
        DeleteReason::SpecChanged(part) => {
            (EventType::Normal, part.reason(), format!("Restarting the pod, because {} changed.", part.field()))
        }
    };
    publish(&about(connection), kind, reason, "DeletePod", note, context).await;
}

/// Tells that the pod of a lost node was taken away.
pub async fn forced(connection: &ValidConnection, context: &Context) {
    metrics::PODS_DELETED.count(["Forced"]);
    tracing::warn!(connection = %connection.id, company = %connection.company, "pod taken away by force");
    let note = "The pod did not come to its end and its session has given up its lease: replacing it.".to_owned();
    publish(&about(connection), EventType::Warning, "ForceDeleted", "DeletePod", note, context).await;
}

/// What somebody had changed or taken away.
#[derive(Debug, Clone, Copy)]
pub enum Taken {
    /// The object.
    Object,
    /// The volume; the new one is empty.
    Volume,
    /// Its owner reference, and perhaps its labels.
    Owner,
    /// Its labels.
    Labels,
    /// What it holds.
    Content,
}

impl Taken {
    /// In one word, and as the end of a sentence that names the object.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Object => ("PutObjectBack", ""),
            Self::Volume => ("PutVolumeBack", ", which is empty"),
            Self::Owner => ("PutOwnerBack", ": its owner reference"),
            Self::Labels => ("PutLabelsBack", ": its labels"),
            Self::Content => ("PutContentBack", ": what it holds"),
        }
    }
}

/// Tells that something was put back as it belongs.
pub async fn put_back<K: Resource<DynamicType = ()>>(
    connection: &ValidConnection,
    name: &str,
    taken: Taken,
    context: &Context,
) {
    let (kind, (action, what)) = (K::kind(&()), taken.words());
    tracing::warn!(%kind, name, ?taken, connection = %connection.id, company = %connection.company, "put back");
    // Events that differ in their notes alone are counted as one: so the object and the action say it, too.
    let object = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(kind.clone().into_owned()),
        name: Some(name.to_owned()),
        namespace: Some(connection.namespace.clone()),
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "PutBack".to_owned(),
        note: Some(format!("Put back: {kind} {name}{what}.")),
        action: action.to_owned(),
        secondary: Some(object),
    };
    send(&event, &about(connection), context).await;
}

/// Tells that a company's network policy, which somebody had changed or deleted, stands again.
pub async fn policy_put_back(namespace: &str, company: &CompanyId, name: &str, context: &Context) {
    tracing::warn!(namespace, %company, "network policy put back");
    let about = ObjectReference {
        api_version: Some(NetworkPolicy::api_version(&()).into_owned()),
        kind: Some(NetworkPolicy::kind(&()).into_owned()),
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectReference::default()
    };
    let note = "Put back: the rules that every session of this company runs behind.".to_owned();
    publish(&about, EventType::Warning, "PutBack", "PutBack", note, context).await;
}

fn about(connection: &ValidConnection) -> ObjectReference {
    ObjectReference {
        api_version: Some(connection.owner.api_version.clone()),
        kind: Some(connection.owner.kind.clone()),
        name: Some(connection.name.clone()),
        namespace: Some(connection.namespace.clone()),
        uid: Some(connection.owner.uid.clone()),
        ..ObjectReference::default()
    }
}

async fn publish(
    about: &ObjectReference,
    type_: EventType,
    reason: &str,
    action: &str,
    note: String,
    context: &Context,
) {
    let event =
        Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
    send(&event, about, context).await;
}

async fn send(event: &Event, about: &ObjectReference, context: &Context) {
    match tokio::time::timeout(DEADLINE, context.recorder.publish(event, about)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, event.reason, "event was not taken"),
        Err(_) => tracing::warn!(event.reason, "event was not taken in time"),
    }
}
