//! What the control API takes and gives, as values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{ChatId, MessageId, Phone};
use super::{PageId, Refusal};

/// A page that is connected right now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageView {
    /// Its number since the simulator started.
    pub id: PageId,
    /// The text of the QR code it shows.
    pub qr: Option<String>,
    /// The pairing code it shows.
    pub pairing_code: Option<String>,
    /// The account it is logged in to.
    pub phone: Option<Phone>,
    /// When it connected.
    pub connected_at: Timestamp,
}

/// An account, for lists.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// Its number.
    pub phone: Phone,
    /// Its other address.
    pub lid: ChatId,
    /// The name its owner chose.
    pub push_name: Option<String>,
    /// How many devices are linked.
    pub devices: usize,
    /// Whether a page of it is connected.
    pub online: bool,
    /// Whether `disconnect` holds its pages off.
    pub disconnected: bool,
}

/// A chat of an account, for lists.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatView {
    /// Person or group.
    pub id: ChatId,
    /// The group's subject or the person's chosen name.
    pub name: Option<String>,
    /// Messages that no page has marked as read.
    pub unread: usize,
}

/// A message as the server knows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    /// Its id, without the author if it is an own one.
    pub id: MessageId,
    /// Where it was written.
    pub chat: ChatId,
    /// Who wrote it, in a group.
    pub author: Option<ChatId>,
    /// Written by the account itself.
    pub from_me: bool,
    /// WhatsApp's word for what it is: chat, image, …
    pub kind: String,
    /// Its text.
    pub text: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// 1 at the server, 2 delivered, 3 read.
    pub ack: i8,
    /// The name the author chose.
    pub push_name: Option<String>,
    /// The key of the message it answers.
    pub quoted_id: Option<String>,
    /// The page gets it before its key: as `ciphertext` first, readable a moment later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late_decryption: bool,
    /// The page stores it without a word to anybody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// One send by a page. A page that sends the same id twice makes two of these.
#[derive(Clone, Debug, Serialize)]
pub struct SentView {
    /// The id the sender chose.
    pub id: MessageId,
    /// Where it was sent.
    pub chat: ChatId,
    /// Its text.
    pub text: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// 1 at the server, 2 delivered, 3 read, -1 refused.
    pub ack: i8,
}

/// An incoming message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageRequest {
    /// Where it is written.
    pub chat: ChatId,
    /// 1 to 65,536 characters.
    pub text: String,
    /// Who writes it; in groups, and there needed, unless `from_me`.
    #[serde(default)]
    pub author: Option<ChatId>,
    /// Written on the account's own phone.
    #[serde(default)]
    pub from_me: bool,
    /// The name its author chose.
    #[serde(default)]
    pub push_name: Option<String>,
    /// The number behind a `@lid` chat, when WhatsApp shall tell it.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// The page gets it as `ciphertext` first.
    #[serde(default)]
    pub late_decryption: bool,
    /// The page stores it without a word to anybody: as if what listens there were lost.
    #[serde(default)]
    pub silent: bool,
}

/// A group the account is a member of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRequest {
    /// `…@g.us`.
    pub id: ChatId,
    /// Its name.
    pub subject: String,
    /// Persons.
    #[serde(default)]
    pub participants: Vec<ChatId>,
}

/// How WhatsApp tells a page that its account may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ban {
    /// A signal; the connection stays.
    Temporary,
    /// The page is blocked.
    Blocked,
}

/// What a page hears of its sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answers {
    /// Each is taken and answered.
    #[default]
    Given,
    /// Each is taken, and the answer is lost.
    Lost,
    /// None arrives.
    Nothing,
}

/// How an account is called, for the first scan.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The name its owner chose.
    pub push_name: Option<String>,
}

const LONGEST_TEXT: usize = 65_536;

impl MessageRequest {
    /// A text of a person.
    #[must_use]
    pub fn text(chat: ChatId, text: &str) -> Self {
        let text = text.to_owned();
        Self {
            chat,
            text,
            author: None,
            from_me: false,
            push_name: None,
            phone: None,
            late_decryption: false,
            silent: false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal::Invalid(why.to_owned()));
        if self.text.is_empty() || self.text.chars().count() > LONGEST_TEXT {
            return refuse("text: 1 to 65536 characters");
        }
        match (self.chat.is_group(), self.from_me, &self.author) {
            (true, false, None) => refuse("author: who wrote into the group?"),
            (false, _, Some(_)) => refuse("author: only in groups"),
            (_, _, Some(author)) if author.is_group() => refuse("author: a person, not a group"),
            _ if self.phone.is_some() && !self.chat.is_lid() => refuse("phone: only for a @lid chat"),
            _ => Ok(()),
        }
    }
}

impl GroupRequest {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if !self.id.is_group() {
            return Err(Refusal::Invalid("id: …@g.us".to_owned()));
        }
        if self.subject.is_empty() || self.participants.iter().any(ChatId::is_group) {
            return Err(Refusal::Invalid("a group has a subject, and its participants are persons".to_owned()));
        }
        Ok(())
    }
}
