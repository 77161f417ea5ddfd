//! Writes the status: only when it differs, when it is time, and telling of transitions. How much a change matters is pure.

use std::time::Duration;

use crds::{ConditionType, Reason, WhatsAppConnection, WhatsAppConnectionStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use relay::ConnectionId;
use serde_json::json;

use super::apply::call;
use super::error::Error;
use crate::context::Context;
use crate::events;
use crate::reports::Change;

/// Writes what is to be told. Gives the wait when it was too early.
pub async fn report(
    connection: &WhatsAppConnection,
    id: ConnectionId,
    before: Option<&WhatsAppConnectionStatus>,
    next: WhatsAppConnectionStatus,
    context: &Context,
) -> Result<Option<Duration>, Error> {
    let reports = &context.memory.reports;
    let Some(change) = change(before, &next) else {
        reports.settled(id);
        return Ok(None);
    };
    if let Some(wait) = reports.wait(id, change) {
        return Ok(Some(wait));
    }
    let namespace = connection.namespace().unwrap_or_default();
    let api: Api<WhatsAppConnection> = Api::namespaced(context.client.clone(), &namespace);
    // Replaces the status as a whole, so that what is not there any more goes; without a resource version, because nobody
    // else writes it and an edit of the spec must not make it fail.
    let replace = serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/uid", "value": connection.metadata.uid},
        {"op": "add", "path": "/status", "value": next},
    ]))
    .map_err(Error::Encode)?;
    let patch = Patch::<()>::Json(replace);
    match call("write status", api.patch_status(&connection.name_any(), &PatchParams::default(), &patch)).await {
        Ok(written) => {
            events::transition(connection, before, &next, context).await;
            reports.written(id, next, written.resource_version());
            Ok(None)
        }
        // Nobody is left to be told.
        Err(Error::Kubernetes { source, .. }) if gone(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the connection was deleted meanwhile. One that was made again under its name fails the test of its UID, which
/// the API server tells in these words; a status that breaks the schema is refused in others.
fn gone(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            status.is_not_found()
                || (status.code == 422 && status.message.starts_with("the server rejected our request"))
        }
        _ => false,
    }
}

/// How much the difference matters; nothing when there is none.
fn change(before: Option<&WhatsAppConnectionStatus>, next: &WhatsAppConnectionStatus) -> Option<Change> {
    let accepted = next.condition(ConditionType::Accepted).is_some_and(|c| c.status == "True");
    let Some(before) = before else { return Some(if accepted { Change::First } else { Change::News }) };
    if before == next {
        return None;
    }
    let told = |status: &WhatsAppConnectionStatus| {
        // A condition that holds has nothing to say, unless something threatens.
        let words = |c: &Condition| {
            let threat = (c.status == "True").then(|| c.message.clone());
            (c.type_.clone(), c.status.clone(), c.reason.clone(), threat)
        };
        (status.observed_generation, status.conditions.iter().map(words).collect::<Vec<_>>())
    };
    if told(before) == told(next) {
        return Some(Change::Detail);
    }
    let reason = next.condition(ConditionType::PodReady).map(|c| c.reason.as_str());
    let passes = PASSING.iter().any(|passing| reason == Some(passing.as_str()));
    let edited = before.observed_generation != next.observed_generation;
    Some(if passes && accepted && !edited { Change::Passing } else { Change::News })
}

/// What a pod may go through on its way up in a cluster where all is well.
const PASSING: [Reason; 4] =
    [Reason::Unschedulable, Reason::VolumePending, Reason::StorageClassMissing, Reason::Leftover];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Hindrance;
    use crate::connection::plan::fixtures::{nothing, resource};
    use crate::connection::status::next;

    #[test]
    fn only_conditions_and_generations_are_news() {
        let connection = resource(crds::State::Running);
        let first = next(&connection, None, &Hindrance::None, &nothing(), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(change(None, &first), Some(Change::First));
        assert_eq!(change(Some(&first), &first), None);
        let mut reworded = first.clone();
        reworded.conditions[1].message = "in other words".to_owned();
        assert_eq!(change(Some(&first), &reworded), Some(Change::Detail));
        let mut another = first.clone();
        another.conditions[1].reason = "NodeLost".to_owned();
        assert_eq!(change(Some(&first), &another), Some(Change::News));
        another.conditions[1].reason = "Unschedulable".to_owned();
        assert_eq!(change(Some(&first), &another), Some(Change::Passing));
        let edited = WhatsAppConnectionStatus { observed_generation: Some(9), ..first.clone() };
        assert_eq!(change(Some(&first), &edited), Some(Change::News));
    }
}
