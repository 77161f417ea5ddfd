//! The only writes of a reconcile. Every call has a deadline and names what it was doing.

use std::time::Duration;

use crds::{WhatsAppConnection, WhatsAppConnectionStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use relay::Credentials;
use serde_json::json;

use super::build::{self, names};
use super::error::Error;
use super::observe::{Observed, Ownership, ownership};
use super::plan::{Action, Plan};
use super::validate::ValidConnection;
use crate::context::Context;
use crate::events;

/// Longest wait for one answer of the API server.
const CALL: Duration = Duration::from_secs(10);

/// Bytes of randomness in a session's Redis password.
const PASSWORD_BYTES: usize = 32;

/// Does what was planned, in order; the first failure ends it, because later actions build on earlier ones.
pub async fn apply(connection: &ValidConnection, plan: &Plan, context: &Context) -> Result<(), Error> {
    for action in &plan.actions {
        match action {
            Action::Access => access(connection, context).await?,
            Action::CreateClaim => {
                create(connection, build::claim::claim(connection), "create volume claim", context).await?;
            }
            Action::GrowClaim(size) => grow(connection, size, context).await?,
            Action::CreatePod => {
                let now = runtime::ambient::now();
                context.attempts.another(connection.id, now, runtime::ambient::random_fraction());
                create(connection, build::pod::pod(connection, &context.session), "create pod", context).await?;
            }
            Action::DeletePod { uid, why } => {
                delete_pod(connection, uid, context).await?;
                events::deleting_pod(connection, *why, context).await;
            }
        }
    }
    Ok(())
}

/// Creates an object of ours. That it exists already is fine when it is this connection's: caches may be behind.
async fn create<K>(connection: &ValidConnection, object: K, what: &'static str, context: &Context) -> Result<K, Error>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &connection.namespace);
    match call(what, api.create(&PostParams::default(), &object)).await {
        Err(Error::Kubernetes { source, .. }) if already_exists(&source) => {
            let there = call("look at what exists", api.get(&object.name_any())).await?;
            let name = || format!("{} {}", K::kind(&()), object.name_any());
            match ownership(&there, &connection.id) {
                Ownership::Ours => Ok(there),
                Ownership::Earlier => Err(Error::Leftover(name())),
                Ownership::Foreign => Err(Error::NotOwned(name())),
            }
        }
        outcome => outcome,
    }
}

fn already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Secret first, user second: the Secret is what lasts, the user is set to whatever stands in it. The other way round a
/// crash in between would leave a user with a password that nobody knows.
async fn access(connection: &ValidConnection, context: &Context) -> Result<(), Error> {
    let password = hex::encode(runtime::ambient::random_bytes::<PASSWORD_BYTES>());
    let fresh = Credentials::of_session(connection.id, password);
    let secret: Secret = build::secret::secret(connection, &fresh);
    let there = create(connection, secret, "create secret", context).await?;
    let credentials = build::secret::credentials(connection, &there)
        .ok_or_else(|| Error::EmptySecret(names::secret(&connection.name)))?;
    context.relay.clone().allow(connection.id, &credentials).await?;
    context.without_access.remove(&connection.id);
    Ok(())
}

async fn grow(connection: &ValidConnection, size: &str, context: &Context) -> Result<(), Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &connection.namespace);
    let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}));
    call("grow volume", api.patch(&names::claim(&connection.name), &PatchParams::default(), &patch)).await.map(drop)
}

async fn delete_pod(connection: &ValidConnection, uid: &str, context: &Context) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &connection.namespace);
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match call("delete pod", api.delete(&connection.name, &parameters)).await {
        // Gone already, or another one of that name: both mean that this pod is not there any more.
        Err(Error::Kubernetes { source, .. }) if matches!(source.as_ref(), kube::Error::Api(s) if s.is_not_found() || s.is_conflict()) => {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// Writes the status when it differs, at most once a second; tells of transitions. Gives the wait when it was too early.
pub async fn report(
    connection: &WhatsAppConnection,
    seen: &Observed,
    next: WhatsAppConnectionStatus,
    context: &Context,
) -> Result<Option<Duration>, Error> {
    if connection.status.as_ref() == Some(&next) {
        return Ok(None);
    }
    if let Some(wait) = context.pace.wait(seen.id) {
        return Ok(Some(wait));
    }
    let namespace = connection.namespace().unwrap_or_default();
    let api: Api<WhatsAppConnection> = Api::namespaced(context.client.clone(), &namespace);
    // Replaces the status as a whole, so that what is not there any more goes; without a resource version, because nobody
    // else writes it and an edit of the spec must not make it fail.
    let replace =
        serde_json::from_value(json!([{"op": "add", "path": "/status", "value": next}])).map_err(Error::Encode)?;
    let patch = Patch::<()>::Json(replace);
    let outcome = call("write status", api.patch_status(&connection.name_any(), &PatchParams::default(), &patch)).await;
    match outcome {
        Ok(_) => events::transitions(connection, &next, context).await,
        // Deleted meanwhile: nobody is left to be told.
        Err(Error::Kubernetes { source, .. }) if matches!(source.as_ref(), kube::Error::Api(s) if s.is_not_found()) => {
        }
        Err(error) => return Err(error),
    }
    Ok(None)
}

async fn call<T>(what: &'static str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL, call).await {
        Ok(outcome) => outcome.map_err(|source| Error::Kubernetes { what, source: Box::new(source) }),
        Err(_) => Err(Error::CallDeadline { what }),
    }
}
