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
}

/// Reads the caches and the relay. Fails while a cache is not filled: a missing pod must not be taken for no pod.
pub async fn observe(connection: &WhatsAppConnection, context: &Context) -> Result<Observed, Error> {
    let namespace = connection.namespace().unwrap_or_default();
    let name = connection.name_any();
    let id = connection.uid().unwrap_or_default().parse()?;
    let Some(company) = context.cluster.company(&namespace) else {
        if context.cluster.companies_known() {
            return Ok(Observed { id, company: None, pod: None, claim: None, session: None });
        }
        return Err(Error::CacheNotFilled);
    };
    if !company.filled() {
        return Err(Error::CacheNotFilled);
    }
    let session = context.relay.clone().status(id).await?.map(|envelope| envelope.payload);
    Ok(Observed {
        id,
        pod: company.pods.get(&ObjectRef::new(&name).within(&namespace)),
        claim: company.claims.get(&ObjectRef::new(&names::claim(&name)).within(&namespace)),
        company: Some(company.id),
        session,
    })
}

/// Whether the object was made for this very connection, not for an earlier one of the same name or by somebody else.
pub fn belongs_to<K: Resource>(object: &K, id: &ConnectionId) -> bool {
    let uid = id.to_string();
    object.meta().owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}
