//! What the objects of a connection look like: one file per kind, all pure.

pub mod claim;
pub mod drift;
pub mod names;
pub mod pod;
pub mod secret;
pub mod trace;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};

use super::validate::ValidConnection;

/// The label by which session pods are found, by network policies and by Prometheus.
pub const SESSION: (&str, &str) = ("app.kubernetes.io/name", "whatsapp-session");

/// The label that says who made an object.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "whatsapp-operator");

/// Eight bytes of a hash as hex: enough to tell two versions of one object apart.
pub fn short_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
}

fn metadata(connection: &ValidConnection, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(connection.namespace.clone()),
        labels: Some(labels(connection)),
        annotations: Some(BTreeMap::from([(crds::CONNECTION_UID.to_owned(), connection.id.to_string())])),
        owner_references: Some(vec![connection.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// Whether an object has all the labels that ours have.
pub fn has_labels<K: Resource>(object: &K, connection: &ValidConnection) -> bool {
    labels(connection).iter().all(|(key, value)| object.labels().get(key) == Some(value))
}

/// The labels of every object of a connection.
pub fn labels(connection: &ValidConnection) -> BTreeMap<String, String> {
    [
        SESSION,
        MANAGED_BY,
        (crds::CONNECTION_LABEL, &connection.name),
        (crds::COMPANY_LABEL, connection.company.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}
