//! What the supervisor asks of an engine: something that is a linked device of a WhatsApp account. Ids and messages are
//! the relay's types; nothing of a browser, of wa-js or of WhatsApp's page passes through here.

mod contract;
mod decode;
mod elsewhere;
mod failed;
mod inject;
mod life;
#[cfg(test)]
pub mod scripted;
pub mod scripts;
mod sequence;
mod web;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use relay::{Account, Ack, Chat, ChatId, EngineVersions, Message, MessageId};
use tokio::sync::mpsc;

use crate::session::{CodeText, Phase};
use crate::settings::Linking;
pub use web::WebEngine;

/// Something that the engine tells by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// It runs; what runs is named.
    Up(EngineVersions),
    /// The page begins a new life.
    Loading,
    /// The page is ready, linked or not.
    Ready(EngineVersions),
    /// The page cannot be loaded; it is tried again.
    Unreachable,
    /// The page and the scripts do not fit together; what is missing is named in the versions.
    Outdated(EngineVersions),
    /// Where it stands with WhatsApp, and whose account it is.
    Stream {
        /// Nothing when what the page says has no meaning for the session.
        phase: Option<Phase>,
        /// The linked account.
        account: Option<Account>,
    },
    /// A code to link a phone with; nothing when the last one does not count any more.
    Code(Option<CodeText>),
    /// No further codes are made until one is asked for.
    CodesPaused,
    /// A pairing code could not be made.
    CodeFailed,
    /// The newest message in the page's own store. An event has told of it, or will in a moment, or the page is deaf.
    Newest {
        /// Under WhatsApp's id.
        id: MessageId,
        /// By WhatsApp's clock.
        sent_at: Timestamp,
    },
    /// A message came in or was sent.
    Message(Message),
    /// A message of the account got further.
    Ack(Ack),
    /// A chat appeared or changed.
    Chat(Chat),
    /// The phone or WhatsApp removed the link.
    Unlinked,
    /// WhatsApp has banned the account.
    Banned,
    /// Events were lost: what is in the page's store must be compared.
    Missed,
    /// The page died, or does not answer any more.
    PageCrashed,
    /// The page answers, and does not find out where it stands with WhatsApp.
    PageStuck,
    /// The browser ended or could not be started. Nothing comes after this.
    Lost,
}

/// How fast an engine is stopped: what each step may take before the next harsher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the request to close until SIGTERM.
    pub close: Duration,
    /// From SIGTERM until SIGKILL.
    pub terminate: Duration,
}

impl Pace {
    /// Nothing is lost: Chromium writes its local storage when it is closed, and only then for sure.
    pub const ORDERLY: Self = Self { close: crate::settings::CLOSE_GRACE, terminate: Duration::from_secs(5) };

    /// The lease is lost: somebody else may start on this account three seconds after it was given up. At most 1.5 s
    /// until SIGKILL, and half of those three are left for the kernel and for a busy node.
    pub const AT_ONCE: Self = Self { close: Duration::from_secs(1), terminate: Duration::from_millis(500) };
}

/// Why the engine did not do something.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EngineError {
    /// It is not running, not linked or not connected. Later it may be.
    #[error("not ready")]
    NotReady,
    /// No answer in time: nobody knows whether it was done.
    #[error("no answer in time")]
    Timeout,
    /// Not even a word that it takes too long. As with [`Self::Timeout`], nobody knows.
    #[error("no answer at all")]
    Silent,
    /// Refused for good; a stable `snake_case` word says why.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The answer is none that was agreed on.
    #[error("unintelligible answer to {0}")]
    Unintelligible(&'static str),
    /// Events are asked for that are forgotten.
    #[error("events are gone")]
    Gone,
}

/// A part of a chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// There may be older ones, however few these are.
    pub more: bool,
}

/// A device of a WhatsApp account. Every call ends in bounded time.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Starts it and gives its events. The receiver ends after [`EngineEvent::Lost`] or when the engine is stopped.
    async fn start(&self) -> mpsc::Receiver<EngineEvent>;
    /// Stops it; when this returns nothing of it runs any more. Nothing happens when it does not run.
    async fn stop(&self, pace: Pace);
    /// Loads the page anew.
    async fn reload(&self) -> Result<(), EngineError>;
    /// Puts what it knows of its login aside, where a person still finds it, and begins as one that was never linked.
    /// It must not run.
    async fn set_aside(&self) -> std::io::Result<()>;

    /// Sends a text under the chosen id, once however often it is called. Gives the id that WhatsApp uses for it.
    async fn send_text(&self, id: &MessageId, chat: &ChatId, text: &str) -> Result<MessageId, EngineError>;
    /// Whether there is a message of this id, and under which id WhatsApp knows it.
    async fn find(&self, id: &MessageId) -> Result<Option<MessageId>, EngineError>;
    /// Makes a new code. It comes as an event, or as the answer, or both.
    async fn new_code(&self, linking: &Linking) -> Result<Option<CodeText>, EngineError>;
    /// Unlinks the phone.
    async fn logout(&self) -> Result<(), EngineError>;
    /// The chats, newest first, groups included.
    async fn chats(&self, most: u32) -> Result<Vec<Chat>, EngineError>;
    /// The latest messages of a chat before `before`, oldest first.
    async fn messages(&self, chat: &ChatId, most: u32, before: Option<&MessageId>) -> Result<Page, EngineError>;
}
