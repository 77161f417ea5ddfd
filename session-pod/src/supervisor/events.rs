//! What each thing that comes in means for the session.

use jiff::Timestamp;
use relay::{EngineVersions, Event, MessageId, SessionState};
use tokio::time::Instant;

use super::{Note, SYNC_AGAIN, Supervisor, UNREAD_AGAIN};
use crate::commands::Ask;
use crate::engine::{EngineError, EngineEvent};
use crate::metrics;
use crate::session::{Reason, Signal};
use crate::sync;

impl Supervisor {
    pub(super) async fn on_event(&mut self, event: EngineEvent) {
        let now = runtime::ambient::now();
        let signal = match event {
            EngineEvent::Up(versions) => {
                self.book.engine = versions;
                self.tools.health.browser.open();
                Signal::BrowserUp
            }
            EngineEvent::Loading => {
                self.hearing.reset();
                Signal::PageLoading
            }
            EngineEvent::Ready(versions) => {
                self.book.engine.whatsapp_web = versions.whatsapp_web;
                self.book.engine.wa_js = versions.wa_js;
                self.book.engine.missing = versions.missing;
                Signal::PageReady
            }
            EngineEvent::Unreachable => Signal::PageUnreachable,
            EngineEvent::Outdated(versions) => {
                tracing::error!(missing = ?versions.missing, "WhatsApp's page and our scripts do not fit together");
                self.book.engine = EngineVersions { browser: self.book.engine.browser.take(), ..versions };
                Signal::PageOutdated
            }
            EngineEvent::Stream { phase, account } => {
                if let Some(account) = account {
                    self.book.account = Some(self.tools.journal.linked(&account, now));
                }
                let Some(phase) = phase else { return };
                Signal::Stream(phase)
            }
            EngineEvent::Code(Some(code)) => Signal::Code(code),
            EngineEvent::Code(None) => Signal::CodeGone,
            EngineEvent::CodesPaused => Signal::CodesPaused,
            EngineEvent::CodeFailed => Signal::CodeFailed,
            EngineEvent::Newest { id, sent_at } => {
                if !self.is_deaf_to(&id, sent_at) {
                    return;
                }
                tracing::warn!("the page has a message of which it did not tell");
                crate::metrics::DEAF.count([]);
                Signal::Deaf
            }
            EngineEvent::Message(message) => {
                self.tools.journal.tell(Event::Message(message), now);
                if self.session.state != SessionState::Deaf {
                    return;
                }
                Signal::Heard
            }
            EngineEvent::Ack(ack) => return self.tools.journal.tell(Event::Ack(ack), now),
            EngineEvent::Chat(chat) => return self.tools.journal.tell(Event::Chat(chat), now),
            EngineEvent::Unlinked if std::mem::take(&mut self.logout_asked) => Signal::LinkRemoved(Reason::LogoutAsked),
            EngineEvent::Unlinked => Signal::LinkRemoved(Reason::Unlinked),
            EngineEvent::Banned => Signal::Banned,
            EngineEvent::Missed => {
                self.tools.journal.interrupted();
                return self.sync();
            }
            EngineEvent::PageCrashed => Signal::PageCrashed,
            EngineEvent::PageStuck => Signal::PageStuck,
            EngineEvent::Lost => {
                self.events = None;
                Signal::BrowserLost
            }
        };
        self.signal(signal).await;
    }

    pub(super) async fn on_ask(&mut self, ask: Ask) {
        match ask {
            Ask::NewCode => self.signal(Signal::LinkAsked).await,
            Ask::LogoutComes => self.logout_asked = true,
            Ask::LogoutFailed => self.logout_asked = false,
        }
    }

    pub(super) async fn on_note(&mut self, note: Note) {
        match note {
            Note::CodeMade(Ok(Some(code))) => self.signal(Signal::Code(code)).await,
            Note::CodeMade(Ok(None)) => {}
            Note::CodeMade(Err(error)) => {
                tracing::warn!(%error, "no code was made");
                self.signal(Signal::CodeFailed).await;
            }
            Note::Synced(result) => self.on_synced(result),
            Note::Start => {
                self.restart = None;
                self.events = Some(self.tools.engine.start().await);
            }
        }
    }

    fn on_synced(&mut self, result: Result<sync::Told, EngineError>) {
        // The connection went since it ended, and with it what its answer was worth.
        if self.sync.take().is_none() {
            return;
        }
        let more = std::mem::take(&mut self.sync_more);
        if result.is_ok() {
            self.hearing.compared(|id, sent_at| self.tools.journal.knows(id, sent_at));
        }
        match result {
            Ok(told) if more => {
                tracing::info!(told = told.messages, "more was missed meanwhile; looking again");
                self.sync();
            }
            Ok(sync::Told { messages, unread: 0 }) => {
                tracing::info!(told = messages, "what was missed is told");
                self.caught_up();
            }
            // It was for another reason: the next try is still to come.
            Ok(_) if self.unread.0.is_some_and(|due| Instant::now() < due) => {}
            Ok(sync::Told { messages, unread }) => {
                if let Some(pause) = UNREAD_AGAIN.get(self.unread.1) {
                    // What was missed in the others is told, and the session goes on; but the mark stays where it is.
                    tracing::warn!(told = messages, unread, "some chats could not be read; trying again later");
                    self.unread = (Some(Instant::now() + *pause), self.unread.1 + 1);
                } else {
                    tracing::error!(told = messages, unread, "chats cannot be read; what was missed there is not told");
                    metrics::CHATS_GIVEN_UP.add(unread, []);
                    self.caught_up();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what was missed could not be read; trying again");
                self.sync_after(SYNC_AGAIN);
            }
        }
    }

    fn caught_up(&mut self) {
        self.unread = (None, 0);
        self.tools.journal.caught_up();
    }

    /// Whether the page has this message and does not tell of it. While its store is compared, that is not its fault yet.
    fn is_deaf_to(&mut self, newest: &MessageId, sent_at: Timestamp) -> bool {
        let hears = matches!(self.session.state, SessionState::Connected | SessionState::Deaf);
        if !hears {
            self.hearing.reset();
        }
        let told = self.tools.journal.knows(newest, sent_at);
        hears && self.sync.is_none() && self.hearing.is_deaf(newest, sent_at, told)
    }
}
