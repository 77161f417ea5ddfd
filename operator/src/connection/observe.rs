//! Everything that is known of one connection, read from the caches and from Redis. The only reads of a reconcile.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crds::{NodeLoss, Volume, WhatsAppConnection, WhatsAppConnectionStatus};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use relay::{CompanyId, ConnectionId, SessionStatus};
use serde::de::DeserializeOwned;

use super::build::names;
use super::error::Error;
use super::fencing::{Ending, Lease};
use super::ownership::belongs_to;
use crate::context::Context;
use crate::memory::Gone;

/// Longest wait for an answer of Redis: it takes a millisecond, and one that swallows questions must not use up the reconciles
/// that others wait for.
const ANSWER: Duration = Duration::from_secs(5);

/// The same, for what is merely good to know, and where pods wait for it.
pub(super) const QUICK_ANSWER: Duration = Duration::from_secs(1);

/// What a namespace lacks for less is told to nobody: each begins so, and at a take-over a thousand of them wait for their turn.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was seen.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The connection's id.
    pub id: ConnectionId,
    /// The company whose home the namespace is; nothing for a namespace without the label.
    pub company: Option<CompanyId>,
    /// The pod of the connection's name, whoever owns it.
    pub pod: Option<Arc<Pod>>,
    /// The claim of the connection's name, whoever owns it.
    pub claim: Option<Arc<PersistentVolumeClaim>>,
    /// A volume that held a link and is gone.
    pub lost_volume: Option<Volume>,
    /// Whether the account is linked, as far as was told: then the volume is worth more than a restart.
    pub linked: bool,
    /// Whether the claim's class is there. Only looked for when the claim may be waiting for it.
    pub storage_class: StorageClass,
    /// The newest word of the session; it may be of an earlier pod.
    pub session: Option<SessionStatus>,
    /// Whether Redis was seen without the session's user, or its Secret has not been looked at for long.
    pub access_doubtful: bool,
    /// When it is looked at next, where nothing else wakes us for that.
    pub check_after: Option<Duration>,
    /// Whether there was a volume before, of which nobody has said that it is given up.
    pub had_volume: bool,
    /// Since when the pod has been seen on its way out.
    pub ending: Option<Ending>,
    /// Whether that pod's session still holds its lease. Only looked for when it matters.
    pub lease: Lease,
}

/// Whether the `StorageClass` that a claim names exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageClass {
    /// Nobody looked, or looking failed.
    Unknown,
    /// It exists.
    Exists,
    /// It does not.
    Missing,
}

/// Reads the caches. Fails while one is not filled: a missing pod must not be taken for no pod. `before` is the status that
/// stands, which knows of what is not there any more.
pub async fn objects(
    connection: &WhatsAppConnection,
    before: Option<&WhatsAppConnectionStatus>,
    context: &Context,
) -> Result<Observed, Error> {
    let (namespace, name) = (connection.namespace().unwrap_or_default(), connection.name_any());
    let (nothing, memory) = (Observed::nothing(connection.uid().unwrap_or_default().parse()?), &context.memory);
    let id = nothing.id;
    let Some(company) = context.cluster.company(&namespace) else {
        return if context.cluster.companies_known() { Ok(nothing) } else { Err(Error::CacheNotFilled) };
    };
    if let Some((lack, since)) = company.lacks() {
        return Err(Error::HomeNotReady { namespace, lack, lasts: since > PATIENCE });
    }
    // Either cache may be behind our own last write.
    let pod = memory.pods.newest(id, company.pods.word(&ObjectRef::new(&name).within(&namespace)));
    let claim_name = names::claim(&name);
    let claim = memory.claims.newest(id, company.claims.word(&ObjectRef::new(&claim_name).within(&namespace)));
    // Or hide what has lost its labels. Of its pod the status knows the name alone: the next one that is seen begins anew.
    let known_pod = before.and_then(|before| before.pod.as_ref()).map(|pod| pod.name.as_str());
    let pod = unlabelled((id, &namespace), pod, (&name, known_pod), &memory.gone_pods, context).await?;
    let known_claim = before.and_then(|before| before.volume.as_ref()).map(|volume| volume.uid.as_str());
    let claim = unlabelled((id, &namespace), claim, (&claim_name, known_claim), &memory.gone_claims, context).await?;

    let own = pod.as_deref().filter(|pod| belongs_to(*pod, &id));
    let shut_out = own.is_some_and(super::status::pod::is_unready_again);
    let check_after = memory.checks.wait(id, shut_out, runtime::ambient::random_fraction());
    let ending = memory.endings.since(id, pod.as_deref());
    Ok(Observed {
        ending: ending.map(|lasted| Ending { lasted, margin: context.fencing_margin }),
        pod,
        lost_volume: lost_volume(connection, before, claim.as_deref(), id),
        linked: before.is_some_and(|before| before.account.is_some()),
        claim,
        company: Some(company.id),
        access_doubtful: context.without_access.contains(&id) || check_after.is_zero(),
        check_after: Some(check_after).filter(|_| shut_out && !check_after.is_zero()),
        had_volume: before.and_then(|before| before.volume.as_ref()).is_some_and(|known| !given_up(connection, known)),
        ..nothing
    })
}

/// What the cache holds, or what it hides: it holds what has our labels, which somebody may have taken off. Where one was
/// `known` when the status was written, the API server has the last word, once, before another is made or it is called lost.
/// What a write of ours gives afterwards is asked for anew ([`crate::memory::Memory::keep_pod`]).
async fn unlabelled<K>(
    (id, namespace): (ConnectionId, &str),
    cached: Option<Arc<K>>,
    (name, known): (&str, Option<&str>),
    gone: &Gone,
    context: &Context,
) -> Result<Option<Arc<K>>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let Some(known) = known.filter(|known| cached.is_none() && !gone.is(id, known)) else {
        if cached.is_some() {
            gone.forget(&id);
        }
        return Ok(cached);
    };
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    let there = super::apply::call("look for what the caches do not hold", api.get_opt(name)).await?;
    let ours = there.filter(|object| belongs_to(object, &id)).map(Arc::new);
    if ours.is_none() {
        gone.note(id, known);
    }
    Ok(ours)
}

impl Observed {
    /// Of a connection of which nothing is there.
    pub const fn nothing(id: ConnectionId) -> Self {
        Self {
            id,
            company: None,
            pod: None,
            claim: None,
            lost_volume: None,
            linked: false,
            storage_class: StorageClass::Unknown,
            session: None,
            access_doubtful: false,
            check_after: None,
            had_volume: false,
            ending: None,
            lease: Lease::Unknown,
        }
    }

    /// The pod, when it is this connection's.
    pub fn own_pod(&self) -> Option<&Pod> {
        self.pod.as_deref().filter(|pod| belongs_to(*pod, &self.id))
    }

    /// The claim, when it is this connection's.
    pub fn own_claim(&self) -> Option<&PersistentVolumeClaim> {
        self.claim.as_deref().filter(|claim| belongs_to(*claim, &self.id))
    }
}

/// The newest word of the session. Of a pod that is not ready nothing is believed but why, and that is not waited for: while
/// Redis is away what is wrong with pods must be told all the same, and its absence is what makes them unready.
pub async fn session(seen: &Observed, context: &Context) -> Result<Option<SessionStatus>, Error> {
    let Some(pod) = seen.own_pod().filter(|pod| super::status::pod::has_run(pod)) else { return Ok(None) };
    let mut relay = context.relay.clone();
    if super::status::pod::is_ready(pod) {
        let answer = tokio::time::timeout(ANSWER, relay.status(seen.id)).await;
        let answer = answer.map_err(|_| Error::CallDeadline { what: "ask Redis for the session's status" })??;
        return Ok(answer.map(|envelope| envelope.payload));
    }
    let answer = tokio::time::timeout(QUICK_ANSWER, relay.status(seen.id)).await;
    Ok(answer.ok().and_then(Result::ok).flatten().map(|envelope| envelope.payload))
}

/// Whether the class is there for which a pod may wait. One small read, and only while a pod waits for its volume.
pub async fn storage_class(seen: &Observed, context: &Context) -> StorageClass {
    let Some(name) = super::status::pod::waits_for_class(seen) else { return StorageClass::Unknown };
    let api: Api<v1::StorageClass> = Api::all(context.client.clone());
    match super::apply::call("look for the StorageClass", api.get_metadata_opt(name)).await {
        Ok(Some(_)) => StorageClass::Exists,
        Ok(None) => StorageClass::Missing,
        Err(error) => {
            tracing::debug!(%error, "the StorageClass cannot be looked for");
            StorageClass::Unknown
        }
    }
}

/// Whether the session of a pod that does not come to its end still holds its lease. One small read of Redis, and only
/// when the answer decides something. No answer is an answer, too.
pub async fn lease(connection: &WhatsAppConnection, seen: &Observed, context: &Context) -> Lease {
    let overdue = seen.own_pod().zip(seen.ending).filter(|(pod, ending)| ending.left(pod).is_none());
    let Some((pod, _)) = overdue.filter(|_| connection.spec.node_loss == NodeLoss::ForceDelete) else {
        return Lease::Unknown;
    };
    match context.relay.clone().lease_holder(seen.id).await {
        Ok(holder) => context.memory.silences.judge(seen.id, pod, holder.as_deref()),
        Err(error) => {
            context.memory.silences.forget(&seen.id);
            tracing::warn!(%error, connection = %seen.id, "whether a lost session still holds its lease is not known");
            Lease::Unknown
        }
    }
}

/// The volume that held a link and is gone: then an empty one in its place would be the end of the link, and nobody would
/// know. What was never linked has nothing to lose. Giving it up takes a word that names exactly this volume.
pub(super) fn lost_volume(
    connection: &WhatsAppConnection,
    before: Option<&WhatsAppConnectionStatus>,
    claim: Option<&PersistentVolumeClaim>,
    id: ConnectionId,
) -> Option<Volume> {
    let before = before?;
    let known = before.volume.as_ref().filter(|_| before.account.is_some())?;
    let there = claim.is_some_and(|claim| belongs_to(claim, &id));
    (!there && !given_up(connection, known)).then(|| known.clone())
}

fn given_up(connection: &WhatsAppConnection, known: &Volume) -> bool {
    connection.annotations().get(crds::GIVE_UP_VOLUME) == Some(&known.uid)
}

#[cfg(test)]
mod tests {
    use crds::{Account, State};

    use super::*;
    use crate::connection::plan::fixtures::{self, resource};

    /// A connection whose account was linked on the volume of this UID.
    fn linked_on(uid: &str) -> WhatsAppConnectionStatus {
        let account = Account { id: "1@c.us".to_owned(), lid: None, push_name: None, linked_at: None };
        WhatsAppConnectionStatus {
            volume: Some(Volume { claim: "sales-profile".to_owned(), uid: uid.to_owned() }),
            account: Some(account),
            ..WhatsAppConnectionStatus::default()
        }
    }

    #[test]
    fn a_volume_is_lost_when_it_held_a_link_and_nothing_of_ours_stands_in_its_place() {
        let connection = resource(State::Running);
        let lost = |connection: &WhatsAppConnection, before: &WhatsAppConnectionStatus, claim| {
            lost_volume(connection, Some(before), claim, fixtures::id()).is_some()
        };
        assert!(lost(&connection, &linked_on("a"), None));
        let claim = fixtures::claim(&fixtures::connection());
        assert!(!lost(&connection, &linked_on("a"), Some(&claim)), "somebody put a volume there, as ours");
        let never_linked = WhatsAppConnectionStatus { account: None, ..linked_on("a") };
        assert!(!lost(&connection, &never_linked, None), "there was nothing on it");
        let mut given_up = resource(State::Running);
        given_up.annotations_mut().insert(crds::GIVE_UP_VOLUME.to_owned(), "a".to_owned());
        assert!(!lost(&given_up, &linked_on("a"), None));
        assert!(lost(&given_up, &linked_on("b"), None), "an old word gives a later volume up");
    }
}
