//! Whose an object is: by its owner references, and for one that lost them by the UID that was written on it when it was
//! made. Names and labels prove nothing. Pure.

use kube::{Resource, ResourceExt};
use relay::ConnectionId;

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Made for this very connection.
    Ours,
    /// Made for this very connection, but somebody took its owner reference off: it would outlive the connection.
    Orphaned,
    /// Made for an earlier connection of the same name. Kubernetes removes it.
    Earlier,
    /// Made by somebody else. It stays, and we stay away.
    Foreign,
}

/// Says whose an object is.
pub fn ownership<K: Resource>(object: &K, id: &ConnectionId) -> Ownership {
    let uid = id.to_string();
    let owners = object.owner_references();
    if owners.iter().any(|owner| owner.uid == uid) {
        return Ownership::Ours;
    }
    if owners.iter().any(|owner| owner.kind == "WhatsAppConnection") {
        return Ownership::Earlier;
    }
    let controlled = owners.iter().any(|owner| owner.controller == Some(true));
    let ours = object.annotations().get(crds::CONNECTION_UID) == Some(&uid);
    if ours && !controlled { Ownership::Orphaned } else { Ownership::Foreign }
}

/// Whether the object was made for this very connection, not for an earlier one of the same name or by somebody else.
pub fn belongs_to<K: Resource>(object: &K, id: &ConnectionId) -> bool {
    matches!(ownership(object, id), Ownership::Ours | Ownership::Orphaned)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;
    use crate::connection::plan::fixtures::{connection, id, pod};

    type Edit<'a> = &'a dyn Fn(&mut Pod);

    fn owned_by(kind: &str, uid: &str) -> Vec<OwnerReference> {
        let (kind, uid) = (kind.to_owned(), uid.to_owned());
        vec![OwnerReference { kind, uid, controller: Some(true), ..OwnerReference::default() }]
    }

    #[test]
    fn whose_an_object_is() {
        let edited = |edit: &dyn Fn(&mut Pod)| {
            let mut pod = pod(&connection(), 1);
            edit(&mut pod);
            ownership(&pod, &id())
        };
        let table: [(Ownership, Edit<'_>); 6] = [
            (Ownership::Ours, &|_| {}),
            (Ownership::Orphaned, &|pod| pod.owner_references_mut().clear()),
            (Ownership::Earlier, &|pod| *pod.owner_references_mut() = owned_by("WhatsAppConnection", "another")),
            (Ownership::Foreign, &|pod| *pod.owner_references_mut() = owned_by("ReplicaSet", "another")),
            (Ownership::Foreign, &|pod| {
                pod.owner_references_mut().clear();
                pod.annotations_mut().insert(crds::CONNECTION_UID.to_owned(), "another".to_owned());
            }),
            (Ownership::Foreign, &|pod| {
                // Labels and names are anybody's to choose.
                pod.owner_references_mut().clear();
                pod.annotations_mut().clear();
            }),
        ];
        for (expected, edit) in table {
            assert_eq!(edited(edit), expected);
        }
    }
}
