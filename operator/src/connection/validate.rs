//! From what was written to what can be acted on: parsed once, so that nothing behind this can meet a wrong value. Pure.

use crds::{Link, LinkMethod, NodeLoss, Reason, Resources, State, Storage, WhatsAppConnection, WhatsAppConnectionSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use relay::{CompanyId, ConnectionId, Phone};

use super::observe::Observed;
use super::ownership::{Ownership, ownership};

/// A connection whose spec makes sense where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidConnection {
    /// Its id.
    pub id: ConnectionId,
    /// The owner of the account.
    pub company: CompanyId,
    /// Where its objects live.
    pub namespace: String,
    /// Its name, which is also the pod's.
    pub name: String,
    /// The reference that makes its objects go with it.
    pub owner: OwnerReference,
    /// Whether it is being deleted: then nothing is made for it any more.
    pub deleting: bool,
    /// Whether a pod is wanted.
    pub desired: State,
    /// How a phone is linked.
    pub link: ValidLink,
    /// The volume.
    pub storage: Storage,
    /// CPU and memory, where it says so itself.
    pub resources: Resources,
    /// Secret that holds its proxy.
    pub proxy_secret: Option<String>,
    /// What happens when the node of its pod is lost.
    pub node_loss: NodeLoss,
}

/// How a phone is linked; a pairing code cannot be without its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidLink {
    /// By QR code.
    Qr,
    /// By a code typed into the phone of this number.
    PairingCode(Phone),
}

/// Why a connection cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The condition's reason.
    pub reason: Reason,
    /// The condition's message.
    pub message: String,
}

fn invalid(reason: Reason, message: impl Into<String>) -> Invalid {
    Invalid { reason, message: message.into() }
}

/// Judges the spec. The schema has refused most of what is wrong; what stays is what only the cluster can tell.
pub fn validate(connection: &WhatsAppConnection, seen: &Observed) -> Result<ValidConnection, Invalid> {
    // Without `..`: whoever adds a field says here what becomes of it.
    let WhatsAppConnectionSpec {
        company_id,
        display_name: _,
        state,
        link,
        storage,
        resources,
        proxy_secret_name,
        node_loss,
    } = &connection.spec;
    let namespace = connection.namespace().unwrap_or_default();
    let company: CompanyId =
        company_id.parse().map_err(|error| invalid(Reason::InvalidSpec, format!("spec.companyId: {error}")))?;
    match &seen.company {
        Some(home) if *home == company => {}
        Some(home) => {
            let message = format!("spec.companyId is {company}, but namespace {namespace} is the home of {home}");
            return Err(invalid(Reason::CompanyMismatch, message));
        }
        None => {
            let message = format!("namespace {namespace} has no label {}={company}", crds::COMPANY_LABEL);
            return Err(invalid(Reason::CompanyMismatch, message));
        }
    }
    unless_foreign("pod", seen.pod.as_deref(), &seen.id)?;
    unless_foreign("PersistentVolumeClaim", seen.claim.as_deref(), &seen.id)?;
    let Link { method, phone_number } = link;
    let link = match method {
        LinkMethod::QrCode => ValidLink::Qr,
        LinkMethod::PairingCode => {
            let number = phone_number.as_deref().unwrap_or_default().parse();
            let complain = |error| invalid(Reason::InvalidSpec, format!("spec.link.phoneNumber: {error}"));
            ValidLink::PairingCode(number.map_err(complain)?)
        }
    };
    let owner = connection
        .controller_owner_ref(&())
        .ok_or_else(|| invalid(Reason::InvalidSpec, "the connection has no name or UID yet"))?;
    Ok(ValidConnection {
        id: seen.id,
        company,
        namespace,
        name: connection.name_any(),
        // Nothing needs to wait for our objects' deletion, and blocking it would ask for one more right.
        owner: OwnerReference { block_owner_deletion: Some(false), ..owner },
        deleting: connection.metadata.deletion_timestamp.is_some(),
        desired: *state,
        link,
        storage: storage.clone(),
        resources: resources.clone().unwrap_or_default(),
        proxy_secret: proxy_secret_name.clone(),
        node_loss: *node_loss,
    })
}

fn unless_foreign<K: Resource>(kind: &str, object: Option<&K>, id: &ConnectionId) -> Result<(), Invalid> {
    match object.map(|object| (object, ownership(object, id))) {
        Some((object, Ownership::Foreign)) => {
            let name = object.meta().name.as_deref().unwrap_or_default();
            Err(invalid(Reason::NotOwned, format!("{kind} {name} exists and belongs to somebody else")))
        }
        Some((_, Ownership::Ours | Ownership::Orphaned | Ownership::Earlier)) | None => Ok(()),
    }
}
