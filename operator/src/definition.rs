//! Looks whether the cluster serves a definition as new as this operator needs, and says so when it does not.

use std::time::Duration;

use crds::WhatsAppConnection;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, CustomResourceExt};
use runtime::health::Gate;
use tokio::time::{sleep, timeout};

/// Between two looks: when all is well, and while somebody is expected to put it right.
const CALM: Duration = Duration::from_mins(10);
const WAITING: Duration = Duration::from_secs(5);

/// Longest wait for the answer.
const CALL: Duration = Duration::from_secs(10);

/// Looks again and again. The gate is closed while the definition is too old, so that an upgrade of the operator alone
/// stops at its first pod, with the reason, while the operator before it goes on working.
pub async fn watch(client: Client, gate: Gate) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    loop {
        let pause = match timeout(CALL, definitions.get(WhatsAppConnection::crd_name())).await {
            Ok(Ok(served)) => judge(&crds::served::lacking(&served), &gate),
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                tracing::warn!("no right to read the definition: whether it is as new as needed is not known");
                gate.open();
                CALM
            }
            Ok(Err(error)) => unanswered(&error),
            Err(error) => unanswered(&error),
        };
        sleep(pause).await;
    }
}

fn judge(missing: &[String], gate: &Gate) -> Duration {
    if missing.is_empty() {
        gate.open();
        return CALM;
    }
    let missing = missing.join(", ");
    tracing::error!(missing, "CRDOutdated: upgrade the chart whatsapp-operator-crds");
    gate.close(format!("CRDOutdated: upgrade the chart whatsapp-operator-crds; the served definition lacks {missing}"));
    WAITING
}

/// No answer says nothing about the definition: whatever the gate says goes on holding.
fn unanswered(error: &dyn std::fmt::Display) -> Duration {
    tracing::warn!(%error, "the definition could not be looked at");
    WAITING
}
