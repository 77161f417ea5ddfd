//! The identifiers of the domain, parsed once at the border. No plain `String` goes further in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no identifier of its kind. Names the kind and the value, for the caller's error message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: expected {expected}")]
pub struct InvalidId {
    kind: &'static str,
    expected: &'static str,
    value: String,
}

/// The id of a connection everywhere outside Kubernetes: the UID of its custom resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub Uuid);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(value).map(Self).map_err(|_| InvalidId {
            kind: "connection id",
            expected: "a UUID",
            value: shorten(value),
        })
    }
}

/// Error messages quote at most this much of a wrong value.
const QUOTED: usize = 64;

fn shorten(value: &str) -> String {
    value.chars().take(QUOTED).collect()
}

macro_rules! text_id {
    ($(#[doc = $doc:literal])+ $name:ident, $kind:literal, $expected:literal, $check:path) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                $check(value).map(Self).ok_or_else(|| InvalidId {
                    kind: $kind,
                    expected: $expected,
                    value: shorten(value),
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The id of a company; also the value of the label on its namespace, hence a Kubernetes label value.
    CompanyId, "company id", "1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends", company
);
text_id!(
    /// WhatsApp's id of a chat. `@lid` chats hide the phone number: their digits are none.
    ChatId, "chat id", "<digits>@c.us, <digits>@lid or <digits>@g.us", chat
);
text_id!(
    /// WhatsApp's id of a message: `<true|false>_<chat>_<id>[_<participant>]`. For own messages the participant (one's
    /// own id, which WhatsApp adds in groups only after the send) is dropped, so that a message has one id for life.
    MessageId, "message id", "<true|false>_<chat>_<id>[_<participant>]", message
);
text_id!(
    /// A phone number: digits with country code, without `+`.
    Phone, "phone number", "7 to 15 digits with country code, without '+'", phone
);

fn company(value: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits =
        value.len() <= 63 && value.chars().all(inner) && edge(value.chars().next()) && edge(value.chars().next_back());
    fits.then(|| value.to_owned())
}

fn digits(value: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit())
}

fn chat(value: &str) -> Option<String> {
    let (user, server) = value.split_once('@')?;
    let fits = match server {
        "c.us" | "lid" => digits(user, 5, 20),
        // Groups made before 2021 are called <creator's number>-<time>.
        "g.us" => match user.split_once('-') {
            Some((creator, time)) => digits(creator, 5, 20) && digits(time, 5, 20),
            None => digits(user, 5, 25),
        },
        "newsletter" => digits(user, 5, 25),
        "broadcast" => user == "status" || digits(user, 5, 25),
        _ => false,
    };
    fits.then(|| value.to_owned())
}

fn message(value: &str) -> Option<String> {
    let mut parts = value.splitn(4, '_');
    let (own, chat_part, id) = (parts.next()?, parts.next()?, parts.next()?);
    let participant = parts.next();
    let id_fits =
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if chat(chat_part).is_none() || !id_fits {
        return None;
    }
    match (own, participant) {
        ("true", _) => Some(format!("true_{chat_part}_{id}")),
        ("false", None) => Some(value.to_owned()),
        ("false", Some(p)) => (p.len() <= 64 && p.contains('@')).then(|| value.to_owned()),
        _ => None,
    }
}

fn phone(value: &str) -> Option<String> {
    (digits(value, 7, 15) && !value.starts_with('0')).then(|| value.to_owned())
}

impl ChatId {
    /// Whether the chat is a conversation with one other person (by number or by `@lid`).
    #[must_use]
    pub fn is_individual(&self) -> bool {
        self.0.ends_with("@c.us") || self.0.ends_with("@lid")
    }

    /// Whether the chat is a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.0.ends_with("@g.us")
    }
}

impl MessageId {
    /// A new id for a message of one's own. WhatsApp's web clients begin theirs with `3EB0`; `random` should be nine
    /// bytes of real randomness, as theirs are.
    #[must_use]
    pub fn outgoing(chat: &ChatId, random: [u8; 9]) -> Self {
        Self(format!("true_{chat}_3EB0{}", hex::encode_upper(random)))
    }

    /// Whether the account itself sent the message, from whatever device.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.0.starts_with("true_")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chats_of_every_kind_are_known_and_nothing_else() {
        for good in [
            "5511999999999@c.us",
            "100000000000001@lid",
            "120363000000000001@g.us",
            "5511999999999-1600000000@g.us",
            "status@broadcast",
        ] {
            assert!(good.parse::<ChatId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "5511999999999",
            "5511999999999@",
            "@c.us",
            "x@c.us",
            "1@c.us",
            "5511999999999@c.us@c.us",
            "5511 999999@c.us",
            "5511999999999@example.org",
        ] {
            assert!(bad.parse::<ChatId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_own_group_message_has_one_id_before_and_after_the_send() {
        let chosen: MessageId = "true_120363000000000001@g.us_3EB0AA".parse().expect("valid");
        let seen: MessageId = "true_120363000000000001@g.us_3EB0AA_100000000000001@lid".parse().expect("valid");
        assert_eq!(chosen, seen);
    }

    #[test]
    fn a_group_message_of_others_keeps_its_author() {
        let id = "false_120363000000000001@g.us_3A01_5511888888888@c.us";
        assert_eq!(id.parse::<MessageId>().expect("valid").as_str(), id);
    }

    #[test]
    fn a_company_id_is_a_label_value() {
        for bad in ["", "-a", "a-", "a b", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<CompanyId>().is_err(), "{bad}");
        }
        assert!("Acme_1.example".parse::<CompanyId>().is_ok());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_accepted_is_stable(text in "\\PC{0,80}") {
            if let Ok(id) = text.parse::<MessageId>() {
                prop_assert_eq!(id.as_str().parse(), Ok(id.clone()));
            }
            if let Ok(id) = text.parse::<ChatId>() {
                prop_assert_eq!(id.as_str(), text.as_str());
            }
        }

        #[test]
        fn a_chosen_message_id_is_a_valid_own_id(random in any::<[u8; 9]>()) {
            let chat: ChatId = "5511999999999@c.us".parse().expect("valid");
            let id = MessageId::outgoing(&chat, random);
            prop_assert!(id.is_own());
            prop_assert_eq!(id.as_str().parse::<MessageId>(), Ok(id.clone()));
        }
    }
}
