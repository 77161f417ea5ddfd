//! The Rust mirror of `session-pod/page/src/contract.ts`, which is the truth: every event, call and field of the page.
//! Nothing here is interpreted; that is for `decode.rs`. Fields that this side does not need are left out.

use serde::{Deserialize, Serialize};

/// An event, without its number.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub(super) enum PageEvent {
    Ready(Versions),
    Outdated(Outdated),
    Stream(Stream),
    Qr(Qr),
    QrIdle(Empty),
    PairingCode(PairingCode),
    PairingCodeExpired(Empty),
    PairingCodeError(PairingCodeError),
    Message(Box<MessageBody>),
    Ack(Ack),
    Chat(ChatBody),
    Logout(Logout),
    Backend(Backend),
}

#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    pub(super) wa_js: String,
    pub(super) whatsapp_web: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outdated {
    pub(super) wa_js: String,
    pub(super) whatsapp_web: Option<String>,
    pub(super) missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) mode: String,
    pub(super) info: Option<String>,
    pub(super) authenticated: bool,
    pub(super) account: Option<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) lid: Option<String>,
    pub(super) push_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Qr {
    pub(super) code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PairingCode {
    pub(super) code: String,
}

macro_rules! debug_without_content {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

debug_without_content!(Qr, PairingCode, Message, Chat);

#[derive(Debug, Deserialize)]
pub(super) struct PairingCodeError {
    pub(super) code: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct MessageBody {
    pub(super) message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) chat: String,
    pub(super) from: String,
    pub(super) author: Option<String>,
    pub(super) from_me: bool,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) timestamp: f64,
    pub(super) ack: i8,
    pub(super) push_name: Option<String>,
    pub(super) quoted_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Ack {
    pub(super) id: String,
    pub(super) ack: i8,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChatBody {
    pub(super) chat: Chat,
}

#[derive(Deserialize)]
pub(super) struct Chat {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) unread: f64,
    pub(super) timestamp: Option<f64>,
    pub(super) phone: Option<String>,
    pub(super) lid: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Logout {
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Backend {
    pub(super) name: String,
}

/// What every call answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answer<T> {
    Ok(T),
    Error(Failure),
}

/// The message is for people who debug the page, and may hold ids: it is not logged.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) code: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// What the bridge is told before it begins.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options {
    pub(super) life: u64,
    pub(super) patience_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub(super) life: u64,
    pub(super) stream: Option<Stream>,
    pub(super) last_event: u64,
    pub(super) newest: Option<Known>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) timestamp: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Resume {
    pub(super) after: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resumed {
    pub(super) events: Vec<serde_json::Value>,
}

#[derive(Serialize)]
pub(super) struct SendText<'a> {
    pub(super) id: &'a str,
    pub(super) chat: &'a str,
    pub(super) text: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) id: String,
}

#[derive(Debug, Serialize)]
pub(super) struct HasMessage<'a> {
    pub(super) id: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) exists: bool,
    pub(super) ack: Option<i8>,
    pub(super) id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct StartPairing<'a> {
    pub(super) phone: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Chats {
    pub(super) limit: u32,
    pub(super) groups: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChatList {
    pub(super) chats: Vec<Chat>,
}

#[derive(Debug, Serialize)]
pub(super) struct Messages<'a> {
    pub(super) chat: &'a str,
    pub(super) limit: u32,
    pub(super) before: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MessageList {
    pub(super) messages: Vec<Message>,
    pub(super) more: bool,
}
