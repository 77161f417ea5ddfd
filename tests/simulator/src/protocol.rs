//! What page and server say to each other over the WebSocket. The page's side is `page/link.js` and `page/session.js`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world::{Ban, ChatId, MessageId, MessageView, Phone};

/// The key material of a page's QR code, base64.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Keys {
    pub(crate) noise: String,
    pub(crate) identity: String,
    pub(crate) adv: String,
}

/// What a linked page keeps in its profile, and shows when it comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) phone: Phone,
    pub(crate) device: String,
    pub(crate) key: String,
}

/// A message that the page sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outgoing {
    pub(crate) id: MessageId,
    pub(crate) chat: ChatId,
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) quoted_id: Option<String>,
}

/// From the page. `request` is the number of a question: the page asks again after a break, with the same one.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum FromPage {
    Hello { login: Option<Login>, keys: Keys },
    RefreshQr,
    PairingCode { request: String, phone: Phone },
    Stored,
    Synced,
    Received { id: MessageId },
    Send { request: String, message: Outgoing },
    Exists { request: String, id: ChatId },
    Read { chat: ChatId },
    Logout,
}

/// The account a page belongs to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountInfo {
    pub(crate) id: ChatId,
    pub(crate) lid: ChatId,
    pub(crate) push_name: Option<String>,
}

/// A chat as the page shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatInfo {
    pub(crate) id: ChatId,
    pub(crate) push_name: Option<String>,
    pub(crate) phone: Option<Phone>,
    pub(crate) lid: Option<ChatId>,
    pub(crate) subject: Option<String>,
    pub(crate) participants: Option<Vec<ChatId>>,
    pub(crate) unread: usize,
}

/// To the page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum ToPage {
    Ref { r#ref: String },
    Idle,
    Paired { login: Login, account: AccountInfo },
    Sync { account: AccountInfo, chats: Vec<ChatInfo>, messages: Vec<MessageView> },
    Deliver { message: MessageView },
    DeliveryEnd,
    Chat { chat: ChatInfo },
    Receipt { id: MessageId, ack: i8 },
    Conflict,
    PairingExpired,
    Banned { kind: Ban },
    Reload,
    LoggedOut { reason: String },
    Answer { id: String, ok: Option<Value>, error: Option<String> },
}

impl ToPage {
    pub(crate) fn answer(request: String, ok: Value) -> Self {
        Self::Answer { id: request, ok: Some(ok), error: None }
    }

    pub(crate) fn refuse(request: String, error: &str) -> Self {
        Self::Answer { id: request, ok: None, error: Some(error.to_owned()) }
    }
}
