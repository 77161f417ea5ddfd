//! What is. Only the operator writes it. Never a QR or pairing code: whoever reads one can take the account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::ConditionType;

/// The connection as last observed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WhatsAppConnectionStatus {
    /// metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A one-word summary for people, derived from the conditions. Programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// `Accepted`, `PodReady`, `Linked`, `Connected` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The session pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSummary>,
    /// The volume that holds the browser profile, and with it the link to the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// The WhatsApp account that is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// When the account was last seen connected to WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_connected_at: Option<Time>,
    /// The latest loss of the connection to WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_disconnect: Option<Disconnect>,
    /// What runs inside the session pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
}

impl WhatsAppConnectionStatus {
    /// What was said last of that type.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == kind.as_str())
    }
}

/// A one-word summary of the conditions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The spec cannot be acted on; see condition Accepted.
    Rejected,
    /// Suspended on request.
    Suspended,
    /// The pod is being made or its browser starts.
    Starting,
    /// Waiting for a phone to be linked.
    Linking,
    /// A phone is linked; the connection to WhatsApp is being made.
    Connecting,
    /// Messages flow.
    Connected,
    /// Something is wrong; see condition Ready.
    Degraded,
}

/// The session pod, as far as people need it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodSummary {
    /// Name of the pod, which is the name of the connection.
    pub name: String,
    /// Node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When the kubelet accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Restarts of the session container within this pod.
    #[serde(default)]
    pub restarts: i32,
    /// Why the session container last ended, for example `OOMKilled (137)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
}

/// The volume, by its claim. A claim of another UID is another volume: one that was linked is never replaced silently.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name of the claim.
    pub claim: String,
    /// UID of the claim.
    pub uid: String,
}

/// The linked WhatsApp account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// WhatsApp's id of the account by phone number, `<digits>@c.us`.
    pub id: String,
    /// WhatsApp's id of the account that hides the number, `<digits>@lid`. Its digits are no phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lid: Option<String>,
    /// Name that the account shows to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_name: Option<String>,
    /// When this link was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_at: Option<Time>,
}

/// A loss of the connection to WhatsApp.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Disconnect {
    /// When it was lost.
    pub at: Time,
    /// Why, as a CamelCase word.
    pub reason: String,
}

/// Versions inside the session pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// Product and version of the browser.
    pub browser: String,
    /// Version of WhatsApp Web, once its page has loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp_web: Option<String>,
    /// Version of the injected wa-js, once it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wa_js: Option<String>,
}
