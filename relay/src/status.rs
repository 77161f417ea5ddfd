//! How a session is, as its pod tells the operator and the API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The states of a session's life; the transitions stand in `docs/reference/session-states.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum SessionState { $($(#[doc = $doc])+ $name,)+ }

        impl SessionState {
            /// Every state there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// The state's name, as in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

states! {
    /// The supervisor has the lease and starts the browser.
    Starting,
    /// The browser runs; WhatsApp's page loads.
    Loading,
    /// A QR or pairing code waits for the phone.
    AwaitingLink,
    /// Nobody used the codes; a new one is made only when asked for.
    QrIdle,
    /// The phone is linked; chats are being loaded.
    Syncing,
    /// Messages flow.
    Connected,
    /// The link stands, WhatsApp's stream does not.
    Reconnecting,
    /// The page says that it is connected, and does not tell what it gets.
    Deaf,
    /// WhatsApp Web was opened elsewhere with this link.
    Conflict,
    /// The phone or WhatsApp removed the link.
    LoggedOut,
    /// WhatsApp has banned the account.
    Banned,
    /// WhatsApp's page and the injected engine do not fit together.
    Outdated,
    /// The session closes its browser in good order.
    Stopping,
}

/// The newest word of a session about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// Where it stands.
    pub state: SessionState,
    /// Why, as a CamelCase word, where the state alone does not say.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Counts this session's statuses; the greater of two with one fence is the newer.
    pub sequence: u64,
    /// The UID of the pod that speaks, so that a status of an earlier pod is not taken for this one's.
    pub pod_uid: String,
    /// The linked account.
    pub account: Option<Account>,
    /// When WhatsApp's stream was last seen up.
    pub last_connected_at: Option<Timestamp>,
    /// The latest loss of it.
    pub last_disconnect: Option<Disconnect>,
    /// What runs inside.
    pub engine: EngineVersions,
    /// How a phone can be linked now, without the code itself.
    pub link: Option<LinkKind>,
}

/// The linked account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// `<digits>@c.us`.
    pub id: String,
    /// `<digits>@lid`.
    pub lid: Option<String>,
    /// Name shown to others.
    pub push_name: Option<String>,
    /// When this session first saw the link.
    pub linked_at: Option<Timestamp>,
}

/// A loss of WhatsApp's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disconnect {
    /// When.
    pub at: Timestamp,
    /// Why, as a CamelCase word.
    pub reason: String,
}

/// Versions of what runs inside the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineVersions {
    /// Product and version of the browser.
    pub browser: Option<String>,
    /// WhatsApp Web.
    pub whatsapp_web: Option<String>,
    /// wa-js.
    pub wa_js: Option<String>,
    /// What the scripts need of WhatsApp Web and did not find, while the two do not fit together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Ways to link a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkKind {
    /// The phone scans a QR code.
    Qr,
    /// A code is typed into the phone.
    PairingCode,
}

/// A code that links a phone. Whoever reads it can take the account: it stands in one key that expires, nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkCode {
    /// Which kind of code.
    pub kind: LinkKind,
    /// The text inside the QR code, or the pairing code.
    pub code: String,
    /// The how-manieth code since a phone was asked for, from 1.
    pub attempt: u32,
    /// When WhatsApp stops taking it.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkCode").field("kind", &self.kind).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
