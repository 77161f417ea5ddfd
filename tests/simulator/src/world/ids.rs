//! Ids as WhatsApp writes them, parsed at the border. The two rules by which the number itself decides what happens to
//! it are here as well, in the manner of a payment provider's test cards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Refusal;

/// Numbers with this ending are not on WhatsApp.
const NOT_ON_WHATSAPP: &str = "0000";
/// Messages to numbers with this ending are refused by the server.
const REFUSES_MESSAGES: &str = "0009";

/// A phone number: 6 to 15 digits with the country's code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Phone(String);

/// A person (`@c.us` or `@lid`) or a group (`@g.us`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ChatId(String);

/// `<true|false>_<chat>_<key>`, and the author behind it for other people's group messages. An author behind the key of
/// an own message is dropped: the page writes one there, whoever chose the id does not know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MessageId(String);

impl Phone {
    pub(crate) fn chat(&self) -> ChatId {
        ChatId(format!("{}@c.us", self.0))
    }

    /// This account's lid: the same for the same number, and no part of it.
    pub(crate) fn lid(&self) -> ChatId {
        let mixed = self.0.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
        ChatId(format!("{:015}@lid", 100_000_000_000_000 + mixed % 100_000_000_000_000))
    }
}

impl ChatId {
    pub(crate) fn is_group(&self) -> bool {
        self.0.ends_with("@g.us")
    }

    pub(crate) fn is_lid(&self) -> bool {
        self.0.ends_with("@lid")
    }

    pub(crate) fn is_on_whatsapp(&self) -> bool {
        !self.user().ends_with(NOT_ON_WHATSAPP)
    }

    pub(crate) fn refuses_messages(&self) -> bool {
        self.user().ends_with(REFUSES_MESSAGES)
    }

    fn user(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl MessageId {
    pub(crate) fn new(from_me: bool, chat: &ChatId, key: &str, author: Option<&ChatId>) -> Self {
        match author {
            Some(author) if !from_me => Self(format!("{from_me}_{chat}_{key}_{author}")),
            _ => Self(format!("{from_me}_{chat}_{key}")),
        }
    }
}

impl TryFrom<String> for Phone {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        if (6..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(Refusal::Invalid(format!("not a phone number of 6 to 15 digits: {text:?}")))
        }
    }
}

impl TryFrom<String> for ChatId {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        let good = match text.split_once('@') {
            Some((user, "c.us" | "lid")) => all(user, |byte| byte.is_ascii_digit()),
            Some((user, "g.us")) => all(user, |byte| byte.is_ascii_digit() || byte == b'-'),
            _ => false,
        };
        if good { Ok(Self(text)) } else { Err(Refusal::Invalid(format!("not a chat id: {text:?}"))) }
    }
}

impl TryFrom<String> for MessageId {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        let refusal = || Refusal::Invalid(format!("not a message id: {text:?}"));
        let mut parts = text.splitn(4, '_');
        let from_me: bool = parts.next().and_then(|part| part.parse().ok()).ok_or_else(refusal)?;
        let chat = parts.next().and_then(|part| ChatId::try_from(part.to_owned()).ok()).ok_or_else(refusal)?;
        let key = parts.next().filter(|key| all(key, |byte| byte.is_ascii_alphanumeric())).ok_or_else(refusal)?;
        let author = parts.next().map(|part| ChatId::try_from(part.to_owned())).transpose().map_err(|_| refusal())?;
        Ok(Self::new(from_me, &chat, key, author.as_ref()))
    }
}

fn all(text: &str, good: impl Fn(u8) -> bool) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(good)
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Result<MessageId, Refusal> {
        MessageId::try_from(text.to_owned())
    }

    #[test]
    fn an_own_group_message_has_one_id_whoever_writes_it() {
        let chosen = id("true_120363000000000001@g.us_3EB0AA").unwrap();
        assert_eq!(id("true_120363000000000001@g.us_3EB0AA_100000000000001@lid").unwrap(), chosen);
    }

    #[test]
    fn an_author_stays_in_other_peoples_group_messages() {
        let text = "false_120363000000000001@g.us_3A11_5511888888888@c.us";
        assert_eq!(id(text).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "true", "true_x_3EB0", "yes_5511@c.us_3EB0", "true_5511@c.us_", "true_5511@c.us_3EB0_nobody"] {
            assert!(id(text).is_err(), "{text}");
        }
        for text in ["5511", "@c.us", "a@c.us", "5511@s.whatsapp.net"] {
            assert!(ChatId::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(Phone::try_from("+5511999".to_owned()).is_err());
    }

    #[test]
    fn a_lid_does_not_contain_the_number() {
        let phone = Phone::try_from("5511999999999".to_owned()).unwrap();
        assert_eq!(phone.lid(), phone.lid());
        assert!(phone.lid().is_lid() && !phone.lid().to_string().contains("5511999999999"));
    }
}
