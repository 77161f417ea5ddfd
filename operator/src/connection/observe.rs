//! Everything that is known of one connection, read from the caches and from Redis. The only reads of a reconcile.

use std::sync::Arc;

use crds::WhatsAppConnection;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use relay::{CompanyId, ConnectionId, SessionStatus};

use super::build::names;
use super::error::Error;
use crate::context::Context;

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
    /// The newest word of the session; it may be of an earlier pod.
    pub session: Option<SessionStatus>,
    /// Whether Redis was seen without the session's user.
    pub access_lost: bool,
}

/// Reads the caches. Fails while one is not filled: a missing pod must not be taken for no pod.
pub fn caches(connection: &WhatsAppConnection, context: &Context) -> Result<Observed, Error> {
    let namespace = connection.namespace().unwrap_or_default();
    let name = connection.name_any();
    let id = connection.uid().unwrap_or_default().parse()?;
    let nothing = Observed { id, company: None, pod: None, claim: None, session: None, access_lost: false };
    let Some(company) = context.cluster.company(&namespace) else {
        return if context.cluster.companies_known() { Ok(nothing) } else { Err(Error::CacheNotFilled) };
    };
    if !company.is_prepared() || !company.filled() {
        return Err(Error::HomeNotReady(namespace));
    }
    Ok(Observed {
        pod: company.pods.get(&ObjectRef::new(&name).within(&namespace)),
        claim: company.claims.get(&ObjectRef::new(&names::claim(&name)).within(&namespace)),
        company: Some(company.id),
        access_lost: context.without_access.contains(&id),
        ..nothing
    })
}

/// The newest word of the session.
pub async fn session(id: ConnectionId, context: &Context) -> Result<Option<SessionStatus>, Error> {
    Ok(context.relay.clone().status(id).await?.map(|envelope| envelope.payload))
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Made for this very connection.
    Ours,
    /// Made for an earlier connection of the same name. It goes by itself.
    Earlier,
    /// Made by somebody else. It stays, and we stay away.
    Foreign,
}

/// Says whose an object is, by its owner references: names and labels prove nothing.
pub fn ownership<K: Resource>(object: &K, id: &ConnectionId) -> Ownership {
    if belongs_to(object, id) {
        return Ownership::Ours;
    }
    let earlier = object.meta().owner_references.iter().flatten().any(|owner| owner.kind == "WhatsAppConnection");
    if earlier { Ownership::Earlier } else { Ownership::Foreign }
}

/// Whether the object was made for this very connection, not for an earlier one of the same name or by somebody else.
pub fn belongs_to<K: Resource>(object: &K, id: &ConnectionId) -> bool {
    let uid = id.to_string();
    object.meta().owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}
