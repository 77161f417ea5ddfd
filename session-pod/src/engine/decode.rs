//! From what the page says to what the session knows. Pure. What cannot be read is counted and dropped, never logged
//! with its content.

use jiff::Timestamp;
use relay::{Account, Ack, Chat, EngineVersions, LinkKind, Message};

use super::EngineEvent;
use super::contract::{self, PageEvent};
use crate::session::{CodeText, Phase};

/// Why something that the page said is of no use. Says which field, never its value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field} of {of} is not valid")]
pub(super) struct Unusable {
    of: &'static str,
    field: &'static str,
}

/// The event for the session; nothing when it means nothing to it.
pub(super) fn event(event: PageEvent) -> Result<Option<EngineEvent>, Unusable> {
    Ok(Some(match event {
        PageEvent::Ready(versions) => EngineEvent::Ready(EngineVersions {
            whatsapp_web: versions.whatsapp_web,
            wa_js: Some(versions.wa_js),
            ..EngineVersions::default()
        }),
        PageEvent::Outdated(outdated) => EngineEvent::Outdated(EngineVersions {
            whatsapp_web: outdated.whatsapp_web,
            wa_js: Some(outdated.wa_js),
            missing: outdated.missing.iter().take(MISSING).map(|name| word(name)).collect(),
            ..EngineVersions::default()
        }),
        PageEvent::Stream(snapshot) => stream(snapshot),
        PageEvent::Qr(qr) => EngineEvent::Code(qr.code.map(|text| CodeText { kind: LinkKind::Qr, text })),
        PageEvent::PairingCode(code) => {
            EngineEvent::Code(Some(CodeText { kind: LinkKind::PairingCode, text: code.code }))
        }
        PageEvent::QrIdle(_) | PageEvent::PairingCodeExpired(_) => EngineEvent::CodesPaused,
        PageEvent::PairingCodeError(error) => {
            tracing::warn!(code = %word(&error.code), "WhatsApp made no pairing code");
            EngineEvent::CodeFailed
        }
        PageEvent::Message(body) => EngineEvent::Message(message(body.message, false)?),
        PageEvent::Ack(told) => EngineEvent::Ack(ack(&told)?),
        PageEvent::Chat(body) => EngineEvent::Chat(chat(body.chat)?),
        PageEvent::Logout(logout) => {
            tracing::info!(reason = %logout.reason.as_deref().map(word).unwrap_or_default(), "unlinked");
            EngineEvent::Unlinked
        }
        PageEvent::Backend(signal) if signal.name == "account_temporarily_banned" => EngineEvent::Banned,
        PageEvent::Backend(signal) => {
            tracing::info!(signal = %word(&signal.name), "WhatsApp's server signals");
            return Ok(None);
        }
    }))
}

/// The page's word made fit for a log line: bounded, and nothing in it that could be a number or a text of a person.
fn word(text: &str) -> String {
    let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if fits && digits < 6 { text.to_owned() } else { "(other)".to_owned() }
}

/// Names of missing modules that are told. The bridge needs fewer than 20 in all.
const MISSING: usize = 20;

/// Whether an event of the page's last life still counts in the next: it tells what happened, not how the page stands.
pub(super) const fn is_lasting(event: &EngineEvent) -> bool {
    matches!(event, EngineEvent::Message(_) | EngineEvent::Ack(_) | EngineEvent::Chat(_))
}

/// The newest message in the page's store.
pub(super) fn newest(known: &contract::Known) -> Option<EngineEvent> {
    Some(EngineEvent::Newest { id: known.id.parse().ok()?, sent_at: seconds(known.timestamp)? })
}

/// Where the page stands. Mode and info are WhatsApp's own words; those that come one day and are unknown here change
/// nothing while they last.
pub(super) fn stream(stream: contract::Stream) -> EngineEvent {
    let phase = phase(&stream);
    let account = stream.account.map(|a| Account { id: a.id, lid: a.lid, push_name: a.push_name, linked_at: None });
    EngineEvent::Stream { phase, account }
}

/// Nothing while the page has not decided where it stands.
pub(super) fn phase(stream: &contract::Stream) -> Option<Phase> {
    match (stream.mode.as_str(), stream.authenticated) {
        ("TOS_BLOCK" | "SMB_TOS_BLOCK", _) => Some(Phase::AccountBlocked),
        ("DEPRECATED_VERSION", _) => Some(Phase::VersionRefused),
        ("PROXYBLOCK", _) => Some(Phase::ProxyBlocked),
        ("QR", false) => Some(Phase::Unlinked),
        ("SYNCING", true) => Some(Phase::Syncing),
        ("CONFLICT", true) => Some(Phase::Conflict),
        ("OFFLINE", true) => Some(Phase::Down),
        ("MAIN", true) => Some(match stream.info.as_deref() {
            // Messages flow only when the resumption is over; before that a send would not be taken.
            Some("OFFLINE" | "OPENING" | "PAIRING" | "CONNECTING" | "RESUMING") => Phase::Down,
            _ => Phase::Up,
        }),
        _ => None,
    }
}

pub(super) fn message(message: contract::Message, recovered: bool) -> Result<Message, Unusable> {
    let unusable = |field| Unusable { of: "message", field };
    // Who wrote it: in a group the participant; between two people the sender of the message.
    let author = message.author.or_else(|| Some(message.from).filter(|from| !from.ends_with("@g.us")));
    Ok(Message {
        id: message.id.parse().map_err(|_| unusable("id"))?,
        chat: message.chat.parse().map_err(|_| unusable("chat"))?,
        author,
        push_name: message.push_name,
        from_me: message.from_me,
        message_type: message.kind,
        text: message.text,
        sent_at: seconds(message.timestamp).ok_or_else(|| unusable("timestamp"))?,
        ack: message.ack,
        quoted: message.quoted_id,
        recovered,
    })
}

fn ack(ack: &contract::Ack) -> Result<Ack, Unusable> {
    Ok(Ack { id: ack.id.parse().map_err(|_| Unusable { of: "ack", field: "id" })?, ack: ack.ack })
}

pub(super) fn chat(chat: contract::Chat) -> Result<Chat, Unusable> {
    let unusable = |field| Unusable { of: "chat", field };
    Ok(Chat {
        id: chat.id.parse().map_err(|_| unusable("id"))?,
        name: chat.name,
        unread: count(chat.unread),
        last_activity_at: chat.timestamp.and_then(seconds),
        // A number that is none is as good as unknown; the chat matters more.
        phone: chat.phone.and_then(|phone| phone.parse().ok()),
        lid: chat.lid,
    })
}

/// JavaScript has one kind of number. Seconds since 1970; nothing for what cannot be a time.
fn seconds(value: f64) -> Option<Timestamp> {
    let whole = value.is_finite().then(|| value.trunc())?;
    Timestamp::from_second(format!("{whole:.0}").parse().ok()?).ok()
}

/// A count of things; below 0 (WhatsApp's "marked as unread") is 0.
fn count(value: f64) -> u32 {
    if value.is_finite() { format!("{:.0}", value.trunc()).parse().unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Option<EngineEvent>, Unusable> {
        event(serde_json::from_value(value).expect("fits the contract"))
    }

    fn phase(mode: &str, info: Option<&str>, authenticated: bool) -> Option<Phase> {
        let body = json!({"mode": mode, "info": info, "authenticated": authenticated, "account": null});
        match read(json!({"n": 1, "kind": "stream", "body": body})) {
            Ok(Some(EngineEvent::Stream { phase, .. })) => phase,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn logged_in_needs_mode_and_authentication() {
        assert_eq!(phase("MAIN", Some("NORMAL"), true), Some(Phase::Up));
        assert_eq!(phase("MAIN", None, true), Some(Phase::Up));
        assert_eq!(phase("MAIN", Some("OPENING"), true), Some(Phase::Down));
        assert_eq!(phase("MAIN", Some("NORMAL"), false), None);
        assert_eq!(phase("QR", None, false), Some(Phase::Unlinked));
        assert_eq!(phase("QR", None, true), None);
        assert_eq!(phase("OFFLINE", None, true), Some(Phase::Down));
        assert_eq!(phase("SOMETHING_NEW", None, true), None);
    }

    fn incoming(change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
        let mut message = json!({
            "id": "false_120363000000000001@g.us_3A01_100000000000001@lid", "chat": "120363000000000001@g.us",
            "from": "120363000000000001@g.us", "author": "100000000000001@lid", "fromMe": false, "type": "chat",
            "text": "hello", "timestamp": 1_700_000_000, "ack": 1, "pushName": "Ana", "quotedId": null
        });
        change(&mut message);
        json!({"n": 7, "kind": "message", "body": {"message": message}})
    }

    #[test]
    fn a_group_message_keeps_chat_and_author_apart() {
        let Ok(Some(EngineEvent::Message(message))) = read(incoming(|_| ())) else { panic!("a message") };
        assert_eq!(message.chat.as_str(), "120363000000000001@g.us");
        assert_eq!(message.author.as_deref(), Some("100000000000001@lid"));
        assert_eq!(message.sent_at.as_second(), 1_700_000_000);
        assert!(!message.recovered);
    }

    #[test]
    fn what_cannot_be_read_names_the_field_and_not_its_value() {
        let error = read(incoming(|m| m["id"] = json!("secret"))).expect_err("no id");
        assert_eq!(error.to_string(), "id of message is not valid");
        assert!(read(incoming(|m| m["timestamp"] = json!(1e300))).is_err());
    }

    #[test]
    fn a_chat_of_a_hidden_number_has_none() {
        let chat = json!({"id": "100000000000001@lid", "name": null, "isGroup": false, "unread": -1,
            "timestamp": null, "phone": null, "lid": "100000000000001@lid"});
        let Ok(Some(EngineEvent::Chat(chat))) = read(json!({"n": 1, "kind": "chat", "body": {"chat": chat}})) else {
            panic!("a chat")
        };
        assert_eq!((chat.phone, chat.unread), (None, 0));
    }

    #[test]
    fn events_without_content_are_read_and_those_of_a_newer_page_are_told_apart() {
        assert!(serde_json::from_value::<PageEvent>(json!({"n": 1, "kind": "story", "body": {"x": 1}})).is_err());
        assert_eq!(read(json!({"n": 1, "kind": "qrIdle", "body": {}})), Ok(Some(EngineEvent::CodesPaused)));
    }

    #[test]
    fn what_is_missing_is_named_and_bounded() {
        let missing: Vec<_> = (0..100).map(|_| "WPP.whatsapp.MsgStore").chain(["5511999999999"]).collect();
        let body = json!({"waJs": "4.6.0", "whatsappWeb": null, "missing": missing});
        let Ok(Some(EngineEvent::Outdated(versions))) = read(json!({"n": 1, "kind": "outdated", "body": body})) else {
            panic!("outdated")
        };
        assert_eq!((versions.missing.len(), versions.missing[0].as_str()), (MISSING, "WPP.whatsapp.MsgStore"));
    }

    #[test]
    fn a_log_line_shows_no_number_and_no_text() {
        assert_eq!(word("client_removed"), "client_removed");
        assert_eq!(word("5511999999999"), "(other)");
        assert_eq!(word("Hello you"), "(other)");
    }
}
