//! Kubernetes Events: told when a condition changes, never on a timer, and never with anything secret in them.

use crds::{ConditionType, Reason, WhatsAppConnection, WhatsAppConnectionStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType};

use crate::connection::plan::DeleteReason;
use crate::connection::validate::ValidConnection;
use crate::context::Context;
use crate::metrics;

/// Longest wait for the API server to take an Event. An Event that is lost is a pity, not an error.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(3);

/// Tells of what changed between the status that stood there and the one just written.
pub async fn transitions(connection: &WhatsAppConnection, next: &WhatsAppConnectionStatus, context: &Context) {
    let ready = |status: &WhatsAppConnectionStatus| {
        status.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str()).cloned()
    };
    let before = connection.status.as_ref().and_then(ready);
    let Some(after) = ready(next) else { return };
    if before.is_some_and(|before| before.reason == after.reason) {
        return;
    }
    let Some(reason) = Reason::ALL.iter().find(|reason| reason.as_str() == after.reason) else { return };
    metrics::transition(reason.as_str());
    let (name, note) = match reason {
        Reason::AsExpected => ("Connected", "Messages flow.".to_owned()),
        _ => (reason.as_str(), after.message),
    };
    tracing::info!(
        reason = name,
        connection = connection.metadata.uid.as_deref(),
        company = connection.spec.company_id,
        "transition"
    );
    publish(&connection.object_ref(&()), kind_of(*reason), name, "Reconcile", note, context).await;
}

/// What an operator of the cluster should look at, and what is the ordinary course of things.
const fn kind_of(reason: Reason) -> EventType {
    match reason {
        Reason::AsExpected
        | Reason::Starting
        | Reason::Suspended
        | Reason::AwaitingQr
        | Reason::AwaitingPairingCode
        | Reason::Syncing
        | Reason::Stopping
        | Reason::Unknown => EventType::Normal,
        _ => EventType::Warning,
    }
}

/// Tells that a pod is being deleted, and why.
pub async fn deleting_pod(connection: &ValidConnection, why: DeleteReason, context: &Context) {
    let note = match why {
        DeleteReason::Suspended => "Deleting the pod because the connection is suspended.",
        DeleteReason::Ended => "Deleting the pod because it ended; another is made.",
        DeleteReason::SpecChanged => "Deleting the pod because the spec asks for another.",
    };
    tracing::info!(reason = ?why, connection = %connection.id, company = %connection.company, "deleting pod");
    let about = ObjectReference {
        api_version: Some(connection.owner.api_version.clone()),
        kind: Some(connection.owner.kind.clone()),
        name: Some(connection.name.clone()),
        namespace: Some(connection.namespace.clone()),
        uid: Some(connection.owner.uid.clone()),
        ..ObjectReference::default()
    };
    publish(&about, EventType::Normal, "DeletingPod", "DeletePod", note.to_owned(), context).await;
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
    match tokio::time::timeout(DEADLINE, context.recorder.publish(&event, about)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, reason, "event was not taken"),
        Err(_) => tracing::warn!(reason, "event was not taken in time"),
    }
}
