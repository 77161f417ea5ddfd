//! Samples of every payload, as earlier versions wrote them: each must be readable for ever. `UPDATE_GOLDEN=1` adds the
//! sample of a new kind; an existing sample is never rewritten.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use relay::{
    Ack, Chat, Envelope, Event, Fence, LinkCode, LinkKind, Live, Message, Outcome, SessionState, StateChange,
    Undecodable,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn message() -> Message {
    Message {
        id: "false_120363000000000001@g.us_3A01_5511888888888@c.us".parse().expect("valid"),
        chat: "120363000000000001@g.us".parse().expect("valid"),
        author: Some("5511888888888@c.us".to_owned()),
        push_name: Some("Ana".to_owned()),
        from_me: false,
        message_type: "chat".to_owned(),
        text: Some("Olá 👋\n\"quoted\"".to_owned()),
        sent_at: NOW,
        ack: 1,
        quoted: None,
        recovered: false,
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let outcome = |outcome| Event::CommandDone { command: Uuid::from_u128(1), outcome };
    vec![
        ("message", Event::Message(message())),
        ("ack", Event::Ack(Ack { id: "true_5511999999999@c.us_3EB0".parse().expect("valid"), ack: 3 })),
        (
            "chat",
            Event::Chat(Chat {
                id: "100000000000001@lid".parse().expect("valid"),
                name: Some("Ana".to_owned()),
                unread: 2,
                last_activity_at: Some(NOW),
                phone: Some("5511888888888".parse().expect("valid")),
                lid: Some("100000000000001@lid".to_owned()),
            }),
        ),
        ("state", Event::State(StateChange { state: SessionState::Connected, reason: None })),
        ("command-done", outcome(Outcome::Done)),
        ("command-failed", outcome(Outcome::Failed { reason: "not_on_whatsapp".to_owned() })),
        ("command-expired", outcome(Outcome::Expired)),
        ("command-unknown", outcome(Outcome::Unknown)),
    ]
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"))
}

#[test]
fn every_event_ever_written_can_be_read() {
    for (name, event) in events() {
        let envelope = Envelope::new(NOW, Fence(7), event);
        let path = sample(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, envelope.encode().expect("is JSON") + "\n").expect("is writable");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no sample of {name}: make generate"));
        assert_eq!(Envelope::<Event>::decode(&text).expect("is readable"), envelope, "{name}");
        assert_eq!(envelope.encode().expect("is JSON"), text.trim_end(), "what is written now differs: {name}");
    }
}

#[test]
fn a_trace_is_carried_along_and_one_that_cannot_be_read_is_none() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = Event::State(StateChange { state: SessionState::Connected, reason: None });
    let envelope = Envelope::new(NOW, Fence(7), event).traced(trace.parse().ok());
    let text = envelope.encode().expect("is JSON");
    assert!(text.contains(&format!(r#""trace":"{trace}""#)), "{text}");
    assert_eq!(Envelope::<Event>::decode(&text).expect("is readable"), envelope);
    for bad in [r#""trace":"x""#, r#""trace":7"#, r#""trace":null"#, r#""trace":{}"#] {
        let read = Envelope::<Event>::decode(&text.replace(&format!(r#""trace":"{trace}""#), bad));
        assert_eq!(read.expect("is readable").header.trace, None, "{bad}");
    }
}

#[test]
fn a_newer_writer_may_add_fields_but_not_everything_is_readable() {
    let read = |text: &str| Envelope::<Event>::decode(text);
    let known = r#"{"v":1,"kind":"ack","at":"1970-01-01T00:00:00Z","fence":7,"trace":"x","body":{"id":"true_5511999999999@c.us_3EB0","ack":3,"device":2}}"#;
    assert!(read(known).is_ok());
    assert!(matches!(read(&known.replace("\"v\":1", "\"v\":2")), Err(Undecodable::Version(2))));
    assert!(
        matches!(read(&known.replace("\"ack\",", "\"dance\",")), Err(Undecodable::Payload { kind, .. }) if kind == "dance")
    );
    assert!(matches!(read("{"), Err(Undecodable::Malformed(_))));
    assert!(matches!(read(&"x".repeat(600_000)), Err(Undecodable::TooLarge(600_000))));
}

/// Earlier pods do not say it: their events are readable all the same.
#[test]
fn an_event_says_whose_it_is() {
    let connection = "0190a1b2-0000-7000-8000-000000000001".parse().expect("valid");
    for (name, event) in events() {
        let text = Envelope::new(NOW, Fence(7), event).of(connection).encode().expect("is JSON");
        let read = Envelope::<Event>::decode(&text).expect("is readable");
        assert_eq!(read.header.connection, Some(connection), "{name}");
    }
}

#[test]
fn a_link_code_does_not_show_itself() {
    let code = LinkCode { kind: LinkKind::Qr, code: "2@secret".to_owned(), attempt: 1, expires_at: NOW };
    assert!(!format!("{code:?} {:?}", Live::Link(Some(code.clone()))).contains("secret"));
}
