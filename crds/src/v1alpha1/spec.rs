//! What is wanted. Defaults and rules stand in the schema (CEL), so that the API server refuses what cannot be meant.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One WhatsApp account of one company. The operator runs it as its own pod with its own volume and credentials.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "whatsapp-operator.dev",
    version = "v1alpha1",
    kind = "WhatsAppConnection",
    plural = "whatsappconnections",
    singular = "whatsappconnection",
    shortname = "wac",
    category = "whatsapp",
    namespaced,
    status = "crate::v1alpha1::WhatsAppConnectionStatus",
    derive = "PartialEq",
    doc = "One WhatsApp account of one company, run as an isolated session pod.",
    selectable = ".spec.companyId",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must be a DNS label of at most 63 characters, because the pod takes its name"),
    printcolumn(name = "Company", type_ = "string", json_path = ".spec.companyId"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.conditions[?(@.type==\"Ready\")].lastTransitionTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.pod.name", priority = 1),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.pod.node", priority = 1),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.companyId == oldSelf.companyId")
        .message("spec.companyId: is immutable; delete the connection and create it for the other company")
        .field_path(".companyId"),
    validation = Rule::new("self.link.method != 'PairingCode' || (has(self.link.phoneNumber) && self.link.phoneNumber != '')")
        .message("spec.link.phoneNumber: is required when link.method is PairingCode"),
)]
pub struct WhatsAppConnectionSpec {
    /// Id of the company that owns the account. Immutable. Must be the id on the namespace's label
    /// `whatsapp-operator.dev/company`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"))]
    pub company_id: String,

    /// Name shown to people, at most 128 characters. Empty means that metadata.name is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub display_name: String,

    /// `Running`: a session pod is kept alive. `Suspended`: no pod, but the link to the phone is kept on the volume.
    #[serde(default)]
    pub state: State,

    /// How a phone is linked.
    #[serde(default)]
    pub link: Link,

    /// The volume that holds the browser profile, and with it the link to the phone.
    #[serde(default)]
    pub storage: Storage,

    /// CPU and memory of the session container. Whatever is unset comes from the operator's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Secret in the same namespace whose key `url` holds the proxy for WhatsApp's traffic, for example
    /// `http://proxy.example:3128`; without user and password, of which the browser takes none. Session pods must be let
    /// through to it: setting `session.extraEgress` of the chart. Unset means a direct connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub proxy_secret_name: Option<String>,

    /// What happens when the pod's node stops answering. `Wait`: until the node is back or its pod is removed.
    /// `ForceDelete`: the pod is replaced as soon as the session in it must have stopped itself.
    #[serde(default)]
    pub node_loss: NodeLoss,
}

/// Whether the account should be online.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// A session pod is kept alive.
    #[default]
    Running,
    /// No pod; volume and link are kept.
    Suspended,
}

/// How a phone is linked to the session.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// `QrCode`: the phone scans a code. `PairingCode`: a code of eight characters is typed into the phone.
    #[serde(default)]
    pub method: LinkMethod,
    /// Phone number of the account in digits with country code, without `+`. Required for `PairingCode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{6,14}$"))]
    pub phone_number: Option<String>,
}

/// Ways to link a phone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkMethod {
    /// The phone scans a QR code.
    #[default]
    QrCode,
    /// A code of eight characters is typed into the phone.
    PairingCode,
}

/// CPU and memory of the session container, in Kubernetes' units.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// What a node must have free for the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Compute>,
    /// What the container may use at most. Above the memory limit it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Compute>,
}

/// An amount of CPU and memory.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// Cores as a Kubernetes quantity, for example `250m` for a quarter of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?m?$"))]
    pub cpu: Option<String>,
    /// Bytes as a Kubernetes quantity, for example `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?(Ki|[EPTGM]i|[EPTGMk])?$"))]
    pub memory: Option<String>,
}

impl Compute {
    /// As Kubernetes' own map, `self` before `fallback`.
    #[must_use]
    pub fn quantities(&self, fallback: &Self) -> BTreeMap<String, Quantity> {
        let choose = |name: &str, own: &Option<String>, other: &Option<String>| {
            own.as_ref().or(other.as_ref()).map(|amount| (name.to_owned(), Quantity(amount.clone())))
        };
        [choose("cpu", &self.cpu, &fallback.cpu), choose("memory", &self.memory, &fallback.memory)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The volume of the browser profile.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
        .message("spec.storage.size: can only grow; a volume cannot be made smaller"),
    validation = Rule::new("quantity(self.size).compareTo(quantity('256Mi')) >= 0")
        .message("spec.storage.size: must be at least 256Mi, or the browser profile does not fit"),
    validation = Rule::new("(has(self.storageClassName) ? self.storageClassName : '') == (has(oldSelf.storageClassName) ? oldSelf.storageClassName : '')")
        .message("spec.storage.storageClassName: is immutable, as it is on a PersistentVolumeClaim"),
)]
pub struct Storage {
    /// Size of the volume as a Kubernetes quantity of bytes, at least 256Mi. Can grow, never shrink.
    #[serde(default = "default_storage_size")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?(Ki|[EPTGM]i|[EPTGMk])?$"))]
    pub size: String,
    /// `StorageClass` of the volume. Unset means the cluster's default `StorageClass`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl Storage {
    /// The size as Kubernetes' own type.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        Quantity(self.size.clone())
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_storage_size(), storage_class_name: None }
    }
}

/// 1Gi: a profile with some months of history takes 200 to 600 MiB.
#[must_use]
pub fn default_storage_size() -> String {
    "1Gi".to_owned()
}

/// What to do about a pod whose node does not answer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeLoss {
    /// Wait for the node, or for somebody who deletes the pod.
    #[default]
    Wait,
    /// Replace the pod once the old one must have fenced itself.
    ForceDelete,
}
