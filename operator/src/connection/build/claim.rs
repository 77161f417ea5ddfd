//! The volume of a session: the browser profile, and with it the link to the phone.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};

use super::{metadata, names};
use crate::connection::validate::ValidConnection;

/// The claim. `ReadWriteOnce`, because not every driver knows `ReadWriteOncePod`; that no two browsers use one profile
/// is the lease's work.
#[must_use]
pub fn claim(connection: &ValidConnection) -> PersistentVolumeClaim {
    let requests = BTreeMap::from([("storage".to_owned(), connection.storage.quantity())]);
    PersistentVolumeClaim {
        metadata: metadata(connection, names::claim(&connection.name)),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            storage_class_name: connection.storage.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
