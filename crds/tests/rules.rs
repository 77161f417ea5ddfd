//! Every rule of the schema against the real API server: one object that it accepts and one that it refuses, naming the
//! field. Without these a typing mistake in a rule would let through what it is there to stop.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]

use crds::WhatsAppConnection;
use harness::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt, ResourceExt};
use serde_json::{Value, json};

async fn api() -> Api<WhatsAppConnection> {
    let plane = ControlPlane::shared().await;
    let client = plane.client().await;
    plane.install(&client, &WhatsAppConnection::crd()).await;
    let namespace = plane.namespace(&client, [("whatsapp-operator.dev/company", "acme")]).await;
    Api::namespaced(client, &namespace)
}

fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// What the API server says of an object as a user would write it; nothing when it takes it. Deletes what it took.
async fn refusal(api: &Api<WhatsAppConnection>, name: &str, spec: Value) -> Option<String> {
    let untyped: Api<kube::core::DynamicObject> = Api::namespaced_with(
        api.clone().into_client(),
        api.namespace().expect("is namespaced"),
        &kube::core::ApiResource::erase::<WhatsAppConnection>(&()),
    );
    let object = serde_json::from_value(object(name, &spec)).expect("is an object");
    match untyped.create(&PostParams::default(), &object).await {
        Ok(made) => {
            api.delete(&made.name_any(), &kube::api::DeleteParams::default()).await.expect("can be deleted");
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

#[tokio::test]
async fn what_is_written_is_judged_when_it_is_created() {
    let api = api().await;
    let table = [
        ("spec.companyId", json!({"companyId": "acme"}), json!({"companyId": "-"})),
        ("spec.companyId", json!({"companyId": "a.b_c-1"}), json!({"companyId": "x".repeat(64)})),
        ("spec.companyId", json!({"companyId": "acme"}), json!({})),
        (
            "spec.displayName",
            json!({"companyId": "acme", "displayName": "Ä".repeat(128)}),
            json!({"companyId": "acme", "displayName": "x".repeat(129)}),
        ),
        (
            "spec.state",
            json!({"companyId": "acme", "state": "Suspended"}),
            json!({"companyId": "acme", "state": "Stopped"}),
        ),
        (
            "spec.link.method",
            json!({"companyId": "acme", "link": {"method": "QrCode"}}),
            json!({"companyId": "acme", "link": {"method": "Sms"}}),
        ),
        (
            "spec.link.phoneNumber",
            json!({"companyId": "acme", "link": {"method": "PairingCode", "phoneNumber": "5511999999999"}}),
            json!({"companyId": "acme", "link": {"method": "PairingCode"}}),
        ),
        (
            "spec.link.phoneNumber",
            json!({"companyId": "acme", "link": {"phoneNumber": "5511999999999"}}),
            json!({"companyId": "acme", "link": {"phoneNumber": "+55 11 99999"}}),
        ),
        (
            "spec.storage.size",
            json!({"companyId": "acme", "storage": {"size": "256Mi"}}),
            json!({"companyId": "acme", "storage": {"size": "255Mi"}}),
        ),
        (
            "spec.storage.size",
            json!({"companyId": "acme", "storage": {"size": "1.5Gi"}}),
            json!({"companyId": "acme", "storage": {"size": "much"}}),
        ),
        (
            "spec.resources.limits.memory",
            json!({"companyId": "acme", "resources": {"limits": {"memory": "1048576Ki"}}}),
            json!({"companyId": "acme", "resources": {"limits": {"memory": "1048576ki"}}}),
        ),
        (
            "spec.nodeLoss",
            json!({"companyId": "acme", "nodeLoss": "ForceDelete"}),
            json!({"companyId": "acme", "nodeLoss": "Panic"}),
        ),
        (
            "spec.proxySecretName",
            json!({"companyId": "acme", "proxySecretName": "proxy"}),
            json!({"companyId": "acme", "proxySecretName": ""}),
        ),
    ];
    for (field, good, bad) in table {
        assert_eq!(refusal(&api, "good", good.clone()).await, None, "{good} must be accepted");
        let refused = refusal(&api, "bad", bad.clone()).await.unwrap_or_else(|| panic!("{bad} must be refused"));
        assert!(refused.contains(field), "the refusal of {bad} does not name {field}: {refused}");
    }
}

#[tokio::test]
async fn a_name_must_be_fit_for_a_pod_and_a_label() {
    let api = api().await;
    let spec = || json!({"companyId": "acme"});
    assert_eq!(refusal(&api, &"n".repeat(63), spec()).await, None);
    for bad in ["n".repeat(64), "sales.north".to_owned()] {
        let refused = refusal(&api, &bad, spec()).await.unwrap_or_else(|| panic!("{bad} must be refused"));
        assert!(refused.contains("metadata.name"), "{refused}");
    }
}

#[tokio::test]
async fn what_may_not_change_does_not_change() {
    let api = api().await;
    let made = json!({"companyId": "acme", "storage": {"size": "1Gi", "storageClassName": "fast"}});
    let object: WhatsAppConnection = serde_json::from_value(object("sales", &made)).expect("is a connection");
    api.create(&PostParams::default(), &object).await.expect("is accepted");
    let edit = async |spec: Value| {
        let patch = Patch::Merge(json!({"spec": spec}));
        api.patch("sales", &PatchParams::default(), &patch).await.map(drop).map_err(|error| error.to_string())
    };
    for (field, bad) in [
        ("spec.companyId", json!({"companyId": "globex"})),
        ("spec.storage.size", json!({"storage": {"size": "512Mi"}})),
        ("spec.storage.storageClassName", json!({"storage": {"storageClassName": "slow"}})),
        ("spec.storage.storageClassName", json!({"storage": {"storageClassName": null}})),
    ] {
        let refused = edit(bad.clone()).await.expect_err("must be refused");
        assert!(refused.contains(field), "the refusal of {bad} does not name {field}: {refused}");
    }
    for good in [json!({"storage": {"size": "2Gi"}}), json!({"state": "Suspended"}), json!({"displayName": "North"})] {
        edit(good.clone()).await.unwrap_or_else(|error| panic!("{good} must be accepted: {error}"));
    }
}

#[tokio::test]
async fn defaults_stand_in_the_stored_object() {
    let api = api().await;
    let object: WhatsAppConnection =
        serde_json::from_value(object("plain", &json!({"companyId": "acme"}))).expect("valid");
    let stored = api.create(&PostParams::default(), &object).await.expect("is accepted");
    assert_eq!(stored.spec.state, crds::State::Running);
    assert_eq!(stored.spec.storage, crds::Storage::default());
    assert_eq!(stored.spec.link.method, crds::LinkMethod::QrCode);
}

#[tokio::test]
async fn the_definition_as_a_cluster_serves_it_lacks_nothing() {
    let api = api().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(api.into_client());
    let served = definitions.get(WhatsAppConnection::crd_name()).await.expect("is there");
    assert_eq!(crds::served::lacking(&served), Vec::<String>::new(), "an up-to-date cluster would be called outdated");
}
