//! Does what the state machine decided. Exhaustive, and without an opinion of its own.

use std::time::Duration;

use relay::{Event, LinkKind, SessionState, StateChange, TraceParent};
use runtime::trace;
use tracing::Span;
use tracing::field::Empty;

use super::{Ended, Note, Supervisor};
use crate::engine::Pace;
use crate::metrics;
use crate::session::Effect;
use crate::sync;

impl Supervisor {
    pub(super) async fn apply(&mut self, effect: Effect, from: SessionState) {
        match effect {
            Effect::Report => self.report(from),
            Effect::ShowCode(code) => {
                metrics::LINK_CODES.count([match code.kind {
                    LinkKind::Qr => "qr",
                    LinkKind::PairingCode => "pairingCode",
                }]);
                self.tools.link.send_replace(Some(code));
            }
            Effect::HideCode => {
                self.tools.link.send_replace(None);
            }
            Effect::MakeCode => {
                let (engine, linking) = (self.tools.engine.clone(), self.tools.linking.clone());
                self.spawn(async move { Note::CodeMade(engine.new_code(&linking).await) });
            }
            Effect::Sync => self.sync(),
            Effect::Reload => {
                let engine = self.tools.engine.clone();
                // A page that cannot even be reloaded hangs, which its keeper notices.
                tokio::spawn(async move { engine.reload().await });
            }
            Effect::Restart(pause) => {
                metrics::BROWSER_RESTARTS.count([]);
                self.restart_after(pause, false);
            }
            Effect::Renew => self.restart_after(Duration::ZERO, true),
            Effect::End => {
                self.publish();
                self.stop_engine().await;
                self.ended = Some(Ended::Stopped);
            }
            Effect::GiveUp => {
                self.publish();
                self.stop_engine().await;
                self.ended = Some(Ended::GaveUp);
            }
        }
    }

    fn report(&mut self, from: SessionState) {
        let (state, reason) = (self.session.state, self.session.reason.map(|reason| reason.to_string()));
        let span = self.transition();
        // Nothing below waits.
        let _entered = span.enter();
        tracing::info!(from = from.as_str(), to = state.as_str(), reason = reason.as_deref(), "state");
        metrics::TRANSITIONS.count([state.as_str()]);
        for each in SessionState::ALL {
            metrics::STATE.set(f64::from(u8::from(*each == state)), [each.as_str()]);
        }
        if from == SessionState::AwaitingLink && matches!(state, SessionState::Syncing | SessionState::Connected) {
            metrics::LINKS.count([]);
        }
        self.tools.journal.tell(Event::State(StateChange { state, reason }), runtime::ambient::now());
        self.tools.state.send_replace(state);
        if from == SessionState::Connected && state != SessionState::Connected {
            self.tools.journal.interrupted();
            if let Some(sync) = self.sync.take() {
                sync.abort();
            }
            self.sync_more = false;
        }
        if state == SessionState::Connected {
            self.start = None;
        }
    }

    /// A step of the start, or one for itself.
    fn transition(&self) -> Span {
        let span = if let Some(start) = &self.start {
            tracing::info_span!(target: trace::TARGET, parent: start, "transition", trace_id = Empty)
        } else {
            tracing::info_span!(target: trace::TARGET, "transition", trace_id = Empty)
        };
        trace::follow(&span, None::<TraceParent>);
        span
    }

    /// Another browser, after a pause; `anew` with nothing of the login that this one has.
    fn restart_after(&mut self, pause: Duration, anew: bool) {
        self.events = None;
        if let Some(running) = self.restart.take() {
            running.abort();
        }
        let engine = self.tools.engine.clone();
        let pause = pause.mul_f64(0.5 + runtime::ambient::random_fraction() / 2.0);
        self.restart = Some(self.spawn(async move {
            // What is left of it may still hold the profile.
            engine.stop(Pace::ORDERLY).await;
            if anew && let Err(error) = engine.set_aside().await {
                // A phone can be linked all the same; WhatsApp's page has removed the old login by itself.
                tracing::error!(%error, "the old profile cannot be set aside; going on with it");
            }
            tokio::time::sleep(pause).await;
            Note::Start
        }));
    }

    pub(super) fn sync(&mut self) {
        self.sync_after(Duration::ZERO);
    }

    /// Compares the page's store with what was told, once at a time. Not connected, there is nothing to compare with,
    /// and becoming connected begins one.
    pub(super) fn sync_after(&mut self, pause: Duration) {
        if !matches!(self.session.state, SessionState::Connected | SessionState::Deaf) {
            return;
        }
        if self.sync.is_some() {
            self.sync_more = true;
            return;
        }
        let (engine, journal) = (self.tools.engine.clone(), self.tools.journal.clone());
        self.sync = Some(self.spawn(async move {
            tokio::time::sleep(pause).await;
            Note::Synced(sync::recover(&*engine, &journal, runtime::ambient::now).await)
        }));
    }
}
