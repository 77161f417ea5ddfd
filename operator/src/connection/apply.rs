//! The only writes to the objects of a connection. Every call has a deadline and names what it was doing.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use relay::{Credentials, Names};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::build::secret::Passwords;
use super::build::{self, names};
use super::error::Error;
use super::observe::QUICK_ANSWER;
use super::ownership::{Ownership, ownership};
use super::plan::{Action, Child, Claim, DeleteReason, Plan, is_bare};
use super::validate::ValidConnection;
use crate::context::Context;
use crate::events::Taken;
use crate::{events, metrics};

/// Longest wait for one answer of the API server.
const CALL: Duration = Duration::from_secs(10);

/// Does what was planned, in order; the first failure ends it, because later actions build on earlier ones.
pub async fn apply(connection: &ValidConnection, plan: &Plan, context: &Context) -> Result<(), Error> {
    for action in &plan.actions {
        match action {
            Action::Start { claim } => Box::pin(start(connection, *claim, context)).await?,
            Action::Access => {
                // A rotation reads and writes the same two.
                let _turn = context.turns.of(&connection.id).await;
                let passwords = secret_in_use(connection, context).await?;
                allow(connection, &passwords, context).await?;
            }
            Action::GrowClaim(size) => grow(connection, size, context).await?,
            Action::PutBack(Child::Pod) => {
                let pod = put_back_by_name(connection, &connection.name, context).await?;
                context.memory.keep_pod(connection.id, pod);
            }
            Action::PutBack(Child::Claim) => {
                let claim = put_back_by_name(connection, &names::claim(&connection.name), context).await?;
                context.memory.keep_claim(connection.id, claim);
            }
            Action::DeletePod { uid, why } => {
                // The next pod could not be made: this one had better stay.
                if matches!(why, DeleteReason::SpecChanged(_)) {
                    proxy_secret(connection, context).await?;
                }
                delete_pod(connection, uid, None, context).await?;
                events::deleting_pod(connection, *why, context).await;
            }
            Action::ForceDeletePod { uid } => {
                delete_pod(connection, uid, Some(0), context).await?;
                events::forced(connection, context).await;
            }
        }
    }
    Ok(())
}

/// Secret and claim side by side, then pod and Redis user side by side: whoever waits for a QR code waits for all four. The
/// pod needs longer to start than Redis to answer; should Redis be away, the next pass makes up for it.
async fn start(connection: &ValidConnection, claim: Claim, context: &Context) -> Result<(), Error> {
    proxy_secret(connection, context).await?;
    let making = async {
        if claim == Claim::There {
            return Ok(());
        }
        let (made, new) = create(connection, build::claim::claim(connection), "create volume claim", context).await?;
        if new && claim == Claim::Again {
            let name = names::claim(&connection.name);
            events::put_back::<PersistentVolumeClaim>(connection, &name, Taken::Volume, context).await;
        }
        context.memory.keep_claim(connection.id, made);
        Ok::<(), Error>(())
    };
    let _turn = context.turns.of(&connection.id).await;
    // Both are made at once, for the first pod; later one without the other is somebody's doing.
    let (passwords, ()) = tokio::try_join!(secret(connection, claim == Claim::New, context), making)?;
    context.memory.attempts.another(connection.id, runtime::ambient::now(), runtime::ambient::random_fraction());
    // Until the user is there: should this be cut short in between, the pod would never get in.
    context.without_access.insert(connection.id);
    let pod = async {
        let pod = build::pod::pod(connection, &context.session);
        let pod = build::trace::carrying(pod, runtime::trace::current());
        // A pod is large, and would make this future and all around it so.
        let (pod, new) = Box::pin(create(connection, pod, "create pod", context)).await?;
        if new {
            tracing::info!(pod = pod.metadata.uid, connection = %connection.id, company = %connection.company, "pod made");
            metrics::PODS_CREATED.count([]);
        }
        context.memory.keep_pod(connection.id, pod);
        Ok::<(), Error>(())
    };
    // Both to their end, whatever becomes of the other.
    let (pod, user) = tokio::join!(pod, allow(connection, &passwords, context));
    pod.and(user)
}

/// A pod whose proxy is not there would hang in its creation without a word of why.
async fn proxy_secret(connection: &ValidConnection, context: &Context) -> Result<(), Error> {
    let Some(name) = &connection.proxy_secret else { return Ok(()) };
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &connection.namespace);
    let secret = call("look for the proxy's secret", api.get_opt(name)).await?;
    let complete =
        secret.and_then(|secret| secret.data).is_some_and(|data| data.contains_key(build::secret::PROXY_URL));
    if complete { Ok(()) } else { Err(Error::ProxySecretMissing(name.clone())) }
}

/// An object of a connection, as the API knows it.
trait Object:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Object for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

/// Creates an object of ours, and gives it with whether it was made now. That it exists already is fine when it is this
/// connection's: caches may be behind.
async fn create<K: Object>(
    connection: &ValidConnection,
    object: K,
    what: &'static str,
    context: &Context,
) -> Result<(K, bool), Error> {
    let api: Api<K> = Api::namespaced(context.client.clone(), &connection.namespace);
    match call(what, api.create(&PostParams::default(), &object)).await {
        Err(Error::Kubernetes { source, .. }) if already_exists(&source) => {
            let there = call("look at what exists", api.get(&object.name_any())).await?;
            let name = || format!("{} {}", K::kind(&()), object.name_any());
            match ownership(&there, &connection.id) {
                Ownership::Ours | Ownership::Orphaned => Ok((put_back(connection, there, context).await?, false)),
                Ownership::Earlier => Err(Error::Leftover(name())),
                Ownership::Foreign => Err(Error::NotOwned(name())),
            }
        }
        outcome => outcome.map(|made| (made, true)),
    }
}

fn already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Puts owner reference and labels back, if they are off, and gives the object as it is then. Fails when it changes at the
/// same time; then it is looked at again.
async fn put_back<K: Object>(connection: &ValidConnection, there: K, context: &Context) -> Result<K, Error> {
    if !is_bare(&there, connection) {
        return Ok(there);
    }
    let (api, name) = (Api::<K>::namespaced(context.client.clone(), &connection.namespace), there.name_any());
    let orphaned = ownership(&there, &connection.id) == Ownership::Orphaned;
    let owners = if orphaned { vec![connection.owner.clone()] } else { there.owner_references().to_vec() };
    let patch = Patch::Merge(json!({"metadata": {
        "uid": there.uid(), "resourceVersion": there.resource_version(),
        "ownerReferences": owners, "labels": build::labels(connection),
    }}));
    let whole = call("put owner reference and labels back", api.patch(&name, &PatchParams::default(), &patch)).await?;
    let taken = if orphaned { Taken::Owner } else { Taken::Labels };
    events::put_back::<K>(connection, &name, taken, context).await;
    Ok(whole)
}

/// The same for an object that the caches do not hold as it is, or not at all.
async fn put_back_by_name<K: Object>(connection: &ValidConnection, name: &str, context: &Context) -> Result<K, Error> {
    let api: Api<K> = Api::namespaced(context.client.clone(), &connection.namespace);
    let there = call("look at what lost its owner or its labels", api.get(name)).await?;
    put_back(connection, there, context).await
}

/// The passwords in the Secret, which is made when it is not there. They are the truth: the user in Redis is set to
/// whatever stands in it. The other way round a crash in between would leave a user with a password that nobody knows.
/// That there was none is no news for the `first` pod; where Redis has a user already it was somebody's doing.
async fn secret(connection: &ValidConnection, first: bool, context: &Context) -> Result<Passwords, Error> {
    let (there, new) = create(connection, fresh_secret(connection), "create secret", context).await?;
    if !new {
        return whole(connection, there, context).await;
    }
    let name = there.name_any();
    let passwords = build::secret::passwords(&there).ok_or_else(|| Error::EmptySecret(name.clone()))?;
    if !first && strange(connection, &passwords, context).await {
        events::put_back::<Secret>(connection, &name, Taken::Object, context).await;
    }
    Ok(passwords)
}

/// The same for a pod that runs, with one request where all is well.
async fn secret_in_use(connection: &ValidConnection, context: &Context) -> Result<Passwords, Error> {
    let (api, name) =
        (Api::<Secret>::namespaced(context.client.clone(), &connection.namespace), names::secret(&connection.name));
    match call("look at secret", api.get_opt(&name)).await? {
        Some(there) if ownership(&there, &connection.id) == Ownership::Ours => whole(connection, there, context).await,
        Some(_) | None => secret(connection, false, context).await,
    }
}

fn fresh_secret(connection: &ValidConnection) -> Secret {
    build::secret::secret(connection, &Credentials::of_session(connection.id, build::secret::new_password()))
}

/// The passwords in a Secret of ours; should somebody have spoilt or changed it, it gets others.
async fn whole(connection: &ValidConnection, there: Secret, context: &Context) -> Result<Passwords, Error> {
    let named = build::secret::username(&there) == Some(Names(connection.id).user());
    if let Some(passwords) = build::secret::passwords(&there).filter(|_| named)
        && !strange(connection, &passwords, context).await
    {
        return Ok(passwords);
    }
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &connection.namespace);
    let fresh = fresh_secret(connection);
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": there.resource_version()},
        "data": {build::secret::PREVIOUS_PASSWORD: null},
        "stringData": fresh.string_data,
    }));
    let name = names::secret(&connection.name);
    let put = call("put secret back", api.patch(&name, &PatchParams::default(), &patch)).await?;
    // Until Redis has it, too: should this be cut short now, that would look like somebody's doing.
    context.without_access.insert(connection.id);
    events::put_back::<Secret>(connection, &name, Taken::Content, context).await;
    build::secret::passwords(&put).ok_or(Error::EmptySecret(name))
}

/// Whether Redis has a user for the session that none of these passwords lets in: a Secret holds what Redis was given, or
/// the one before that. Where Redis is known to be behind, or does not answer, nothing is said.
async fn strange(connection: &ValidConnection, passwords: &Passwords, context: &Context) -> bool {
    if context.without_access.contains(&connection.id) {
        return false;
    }
    let mut relay = context.relay.clone();
    let answer = tokio::time::timeout(QUICK_ANSWER, relay.admits(connection.id, &passwords.valid())).await;
    matches!(answer, Ok(Ok(Some(false))))
}

async fn allow(connection: &ValidConnection, passwords: &Passwords, context: &Context) -> Result<(), Error> {
    let mut relay = context.relay.clone();
    let allowed = tokio::time::timeout(CALL, relay.allow(connection.id, &passwords.valid())).await;
    allowed.map_err(|_| Error::CallDeadline { what: "set the session's Redis user" })??;
    context.without_access.remove(&connection.id);
    context.memory.checks.done(connection.id, runtime::ambient::random_fraction());
    Ok(())
}

async fn grow(connection: &ValidConnection, size: &str, context: &Context) -> Result<(), Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &connection.namespace);
    let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}));
    let name = names::claim(&connection.name);
    let grown = call("grow volume", api.patch(&name, &PatchParams::default(), &patch)).await.map_err(refused)?;
    context.memory.keep_claim(connection.id, grown);
    Ok(())
}

/// That the API server says no is final until somebody changes the class or the quota; no answer is not.
fn refused(error: Error) -> Error {
    match &error {
        Error::Kubernetes { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if matches!(status.code, 403 | 422)) => {
            Error::CannotGrow(Box::new(error))
        }
        _ => error,
    }
}

async fn delete_pod(
    connection: &ValidConnection,
    uid: &str,
    grace: Option<u32>,
    context: &Context,
) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &connection.namespace);
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters =
        DeleteParams { grace_period_seconds: grace, preconditions: Some(preconditions), ..DeleteParams::default() };
    match call("delete pod", api.delete(&connection.name, &parameters)).await {
        // Gone already, or another one of that name: both mean that this pod is not there any more.
        Err(Error::Kubernetes { source, .. }) if matches!(source.as_ref(), kube::Error::Api(s) if s.is_not_found() || s.is_conflict()) =>
        {
            context.memory.pods.forget(&connection.id);
        }
        Err(error) => return Err(error),
        // As long as it shuts down it is there; where nothing has to be shut down it is gone at once.
        Ok(answer) => match answer.left().filter(|pod| pod.metadata.deletion_grace_period_seconds != Some(0)) {
            Some(pod) => context.memory.keep_pod(connection.id, pod),
            None => context.memory.pods.forget(&connection.id),
        },
    }
    Ok(())
}

/// One call of the API server, with an end.
pub(crate) async fn call<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(CALL, call).await {
        Ok(outcome) => outcome.map_err(|source| Error::Kubernetes { what, source: Box::new(source) }),
        Err(_) => Err(Error::CallDeadline { what }),
    }
}
