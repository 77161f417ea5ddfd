//! The engine that is a browser with WhatsApp Web. It knows the bridge's calls by name and nothing of what they do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use relay::{Chat, ChatId, LinkKind, MessageId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::contract::{self, Answer};
use super::life::Life;
use super::scripts::Scripts;
use super::{Engine, EngineError, EngineEvent, Pace, decode};
use crate::browser::page::Page;
use crate::browser::reaper::Children;
use crate::browser::set_aside;
use crate::session::CodeText;
use crate::settings::{BrowserSettings, Linking};

/// Longer than the bridge's own longest deadline (20 s): an answer of the bridge says more than our silence.
const CALL: Duration = Duration::from_secs(25);

/// Longer than the bridge's deadline for what it answers from memory (5 s).
const QUICK_CALL: Duration = Duration::from_secs(8);

/// Events that wait for the supervisor, which writes them to a file. Beyond that the browser's side waits.
const EVENTS: usize = 1024;

/// After the pace of a stop the browser is killed by dropping it.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// The page of the browser that runs now.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Page>>>);

impl Slot {
    pub(super) fn set(&self, page: Option<Page>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    fn get(&self) -> Result<Page, EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(EngineError::NotReady)
    }
}

/// WhatsApp Web in a browser of our own.
pub struct WebEngine {
    settings: BrowserSettings,
    scripts: Arc<Scripts>,
    children: Children,
    slot: Slot,
    life: Mutex<Option<Alive>>,
}

#[derive(Clone)]
struct Alive {
    stop: Arc<watch::Sender<Option<Pace>>>,
    task: Arc<tokio::task::JoinHandle<()>>,
    ended: CancellationToken,
}

impl WebEngine {
    /// Reads the scripts; starts nothing yet.
    pub fn new(settings: BrowserSettings, children: Children) -> std::io::Result<Self> {
        let scripts = Arc::new(Scripts::read(&settings.page)?);
        Ok(Self { settings, scripts, children, slot: Slot::default(), life: Mutex::new(None) })
    }

    fn alive(&self) -> Option<Alive> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Engine for WebEngine {
    async fn start(&self) -> mpsc::Receiver<EngineEvent> {
        // Two browsers on one profile destroy it.
        self.stop(Pace::ORDERLY).await;
        let (events, receiver) = mpsc::channel(EVENTS);
        let (stop, stopped) = watch::channel(None);
        let life = Life {
            settings: self.settings.clone(),
            scripts: self.scripts.clone(),
            children: self.children.clone(),
            slot: self.slot.clone(),
            events,
            stop: stopped,
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let living = async move {
            // Dropped at the end also when the life panics or is aborted.
            let _guard = guard;
            life.run().await;
        };
        let task = tokio::spawn(living.in_current_span());
        let alive = Alive { stop: Arc::new(stop), task: Arc::new(task), ended };
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(alive);
        receiver
    }

    async fn stop(&self, pace: Pace) {
        let Some(alive) = self.alive() else { return };
        alive.stop.send_replace(Some(pace));
        let longest = pace.close + pace.terminate + STOP_MARGIN;
        if tokio::time::timeout(longest, alive.ended.cancelled()).await.is_err() {
            tracing::error!("the browser's life did not end; dropping it");
            alive.task.abort();
        }
        self.slot.set(None);
    }

    async fn reload(&self) -> Result<(), EngineError> {
        self.slot.get()?.reload().await.map_err(|_| EngineError::Timeout)
    }

    async fn set_aside(&self) -> std::io::Result<()> {
        let (profile, now) = (self.settings.profile.clone(), runtime::ambient::now());
        tokio::task::spawn_blocking(move || set_aside::set_aside(&profile, now)).await.map_err(std::io::Error::other)?
    }

    async fn send_text(&self, id: &MessageId, chat: &ChatId, text: &str) -> Result<MessageId, EngineError> {
        let page = self.slot.get()?;
        let arguments = contract::SendText { id: id.as_str(), chat: chat.as_str(), text };
        let sent: contract::Sent = Bridge(&page).call("sendText", &arguments, CALL).await?;
        sent.id.parse().map_err(|_| EngineError::Unintelligible("sendText"))
    }

    async fn find(&self, id: &MessageId) -> Result<Option<MessageId>, EngineError> {
        let page = self.slot.get()?;
        let arguments = contract::HasMessage { id: id.as_str() };
        let found: contract::Found = Bridge(&page).call("hasMessage", &arguments, CALL).await?;
        match found {
            contract::Found { exists: false, .. } => Ok(None),
            // WhatsApp keeps a message that it could not send.
            contract::Found { ack: Some(..0), .. } => Err(EngineError::Refused("send_failed")),
            contract::Found { id: Some(other), .. } => {
                other.parse().map(Some).map_err(|_| EngineError::Unintelligible("hasMessage"))
            }
            contract::Found { id: None, .. } => Ok(Some(id.clone())),
        }
    }

    async fn new_code(&self, linking: &Linking) -> Result<Option<CodeText>, EngineError> {
        #[derive(serde::Deserialize)]
        struct Made {
            code: Option<String>,
        }
        let page = self.slot.get()?;
        let bridge = Bridge(&page);
        let (kind, made): (_, Made) = match linking {
            Linking::Qr => (LinkKind::Qr, bridge.call("refreshQr", &contract::Nothing {}, CALL).await?),
            Linking::Pairing(phone) => {
                let arguments = contract::StartPairing { phone: phone.as_str() };
                (LinkKind::PairingCode, bridge.call("startPairing", &arguments, CALL).await?)
            }
        };
        Ok(made.code.map(|text| CodeText { kind, text }))
    }

    async fn logout(&self) -> Result<(), EngineError> {
        let page = self.slot.get()?;
        Bridge(&page).call::<_, serde_json::Value>("logout", &contract::Nothing {}, CALL).await.map(drop)
    }

    async fn chats(&self, most: u32) -> Result<Vec<Chat>, EngineError> {
        let page = self.slot.get()?;
        let arguments = contract::Chats { limit: most, groups: true };
        let list: contract::ChatList = Bridge(&page).call("chats", &arguments, CALL).await?;
        Ok(usable(list.chats.into_iter().map(decode::chat)))
    }

    async fn messages(&self, chat: &ChatId, most: u32, before: Option<&MessageId>) -> Result<super::Page, EngineError> {
        let page = self.slot.get()?;
        let before = before.map(MessageId::as_str);
        let arguments = contract::Messages { chat: chat.as_str(), limit: most, before };
        let list: contract::MessageList = Bridge(&page).call("messages", &arguments, CALL).await?;
        let messages = usable(list.messages.into_iter().map(|message| decode::message(message, true)));
        Ok(super::Page { messages, more: list.more })
    }
}

/// What can be read; the rest is counted.
fn usable<T, E: std::fmt::Display>(read: impl Iterator<Item = Result<T, E>>) -> Vec<T> {
    read.filter_map(|item| {
        item.inspect_err(|error| {
            crate::metrics::UNREADABLE.count(["field"]);
            tracing::warn!(%error, "something in the page's store is of no use");
        })
        .ok()
    })
    .collect()
}

/// The bridge in a page.
pub(super) struct Bridge<'a>(pub(super) &'a Page);

impl Bridge<'_> {
    /// The events after number `after`.
    pub(super) async fn resume(&self, after: u64) -> Result<Vec<serde_json::Value>, EngineError> {
        let resumed: contract::Resumed = self.call("resume", &contract::Resume { after }, QUICK_CALL).await?;
        Ok(resumed.events)
    }

    /// Where the page stands.
    pub(super) async fn state(&self) -> Result<contract::State, EngineError> {
        self.call("state", &contract::Nothing {}, QUICK_CALL).await
    }

    async fn call<A: Serialize, T: DeserializeOwned>(
        &self,
        method: &'static str,
        arguments: &A,
        deadline: Duration,
    ) -> Result<T, EngineError> {
        let started = tokio::time::Instant::now();
        let result = self.answer(method, arguments, deadline).await;
        let outcome = if result.is_ok() { "ok" } else { "error" };
        crate::metrics::PAGE_CALL_SECONDS.observe(started.elapsed(), [method, outcome]);
        result
    }

    async fn answer<A: Serialize, T: DeserializeOwned>(
        &self,
        method: &'static str,
        arguments: &A,
        deadline: Duration,
    ) -> Result<T, EngineError> {
        let unintelligible = |_| EngineError::Unintelligible(method);
        // JSON in JSON: the inner text is what the bridge parses, the outer quotes make it a JavaScript string.
        let arguments = serde_json::to_string(arguments).map_err(unintelligible)?;
        let literal = serde_json::to_string(&arguments).map_err(unintelligible)?;
        let expression = format!("window.sessionBridge ? window.sessionBridge.call('{method}', {literal}) : null");
        // Whatever went wrong on the way, nobody knows whether the page did it.
        let value = self.0.evaluate(method, &expression, deadline).await.map_err(|error| {
            tracing::debug!(%error, "no answer of the bridge");
            EngineError::Silent
        })?;
        let Some(text) = value.as_str() else { return Err(EngineError::NotReady) };
        match serde_json::from_str(text).map_err(unintelligible)? {
            Answer::Ok(value) => Ok(value),
            Answer::Error(failure) => Err(refusal(&failure.code)),
        }
    }
}

fn refusal(code: &str) -> EngineError {
    match code {
        "not_ready" => EngineError::NotReady,
        "timeout" => EngineError::Timeout,
        "gone" => EngineError::Gone,
        "invalid_id" => EngineError::Refused("invalid_id"),
        "not_found" => EngineError::Refused("not_found"),
        "not_on_whatsapp" => EngineError::Refused("not_on_whatsapp"),
        "send_failed" => EngineError::Refused("send_failed"),
        _ => EngineError::Refused("internal"),
    }
}
