//! Carries out what the API asks for, one after the other, each with one effect and one outcome. A command leaves Redis
//! only when its outcome is kept, so a crash repeats it, and what it might have done is looked up before it is done again.

mod carry_out;
mod gap;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use relay::{
    COMMANDS_AT_ONCE, ChatId, Command, CommandAction, Endpoint, Event, Offset, Outcome, SessionRelay, SessionState,
    Undecodable, subscribe,
};
use runtime::trace;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::clock::RedisClock;
use crate::engine::Engine;
use crate::journal::Journal;
use crate::metrics;
pub use gap::Gap;
use judge::{Verdict, judge};

/// A lost wake-up costs at most so long.
const SWEEP: Duration = Duration::from_secs(5);

/// Readings of one sweep: with 32 commands each, a request for a new code is found behind 1,000 sends that wait for the
/// connection. What is behind those is found when some of them have ended, by their deadline at the latest.
const READINGS: usize = 32;

/// What the commands need of the supervisor, which owns the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Make a new code.
    NewCode,
    /// A logout that comes now was asked for.
    LogoutComes,
    /// It does not come: one that does was not asked for.
    LogoutFailed,
}

/// The worker.
pub struct Commands {
    /// Redis.
    pub relay: SessionRelay,
    /// What deadlines are judged by.
    pub clock: RedisClock,
    /// Where the wake-ups come from.
    pub endpoint: Endpoint,
    /// Who does it.
    pub engine: Arc<dyn Engine>,
    /// Where outcomes go.
    pub journal: Journal,
    /// The state of the session.
    pub state: watch::Receiver<SessionState>,
    /// The supervisor.
    pub asks: mpsc::Sender<Ask>,
    /// The pause between two sends.
    pub gap: Gap,
}

/// What the worker remembers of commands that are still in Redis.
#[derive(Default)]
struct Pending {
    /// Their outcome is kept; only their removal is not done.
    answered: BTreeSet<Offset>,
    /// They were begun, by us or perhaps by the process before us, and nobody knows how they ended.
    begun: BTreeSet<Uuid>,
    /// An earlier process may have begun what we find in the first sweep.
    first_sweep_done: bool,
}

/// What one sweep has found so far.
#[derive(Default)]
struct Found {
    /// Every command, with its id if it can be read.
    here: BTreeMap<Offset, Option<Uuid>>,
    /// Chats with a send that is not over: the next one of the same chat must not overtake it.
    waits: BTreeSet<ChatId>,
    /// Something was carried out, which takes its time.
    ran: bool,
}

impl Commands {
    /// Works until `stop`. What it is doing then is dropped and looked up by the next process.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut wake = subscribe(self.endpoint.clone(), vec![self.relay.wake_channel()]);
        let mut pending = Pending::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.sweep(&mut pending) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wake.next() => {}
                () = tokio::time::sleep(SWEEP) => {}
                // What waited for the connection can go now.
                changed = self.state.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn sweep(&mut self, pending: &mut Pending) {
        let mut found = Found::default();
        let mut after = Offset::START;
        for _ in 0..READINGS {
            let commands = match self.relay.commands(after).await {
                Ok(commands) => commands,
                // What was remembered of those behind is still needed.
                Err(error) => {
                    metrics::REDIS_ERRORS.count(["commands"]);
                    return tracing::warn!(%error, "commands cannot be read");
                }
            };
            let last = commands.len() < COMMANDS_AT_ONCE;
            after = commands.last().map_or(after, |(offset, _)| *offset);
            for (offset, command) in commands {
                found.here.insert(offset, command.as_ref().ok().map(|command| command.id));
                self.look_at(offset, command, pending, &mut found).await;
            }
            if last {
                pending.first_sweep_done = true;
                pending.answered.retain(|offset| found.here.contains_key(offset));
                pending.begun.retain(|id| found.here.values().flatten().any(|here| here == id));
                return;
            }
            // What waits at the front is to be tried again before its deadline, not after a thousand others.
            if found.ran && !found.waits.is_empty() {
                return;
            }
        }
    }

    async fn look_at(
        &mut self,
        offset: Offset,
        command: Result<Command, Undecodable>,
        pending: &mut Pending,
        found: &mut Found,
    ) {
        if pending.answered.contains(&offset) {
            return self.finish(offset, pending).await;
        }
        match command {
            Ok(command) => {
                if !pending.first_sweep_done {
                    pending.begun.insert(command.id);
                }
                self.take(offset, command, pending, found).await;
            }
            Err(error) => {
                tracing::warn!(why = class(&error), "a command cannot be read and is dropped");
                count("unreadable", "dropped");
                self.finish(offset, pending).await;
            }
        }
    }

    async fn take(&mut self, offset: Offset, command: Command, pending: &mut Pending, found: &mut Found) {
        let chat = match &command.action {
            CommandAction::SendText { message, chat, .. } => {
                // Also of one that is begun already: WhatsApp may tell of it under another address than was asked for.
                self.journal.sends(message);
                Some(chat.clone())
            }
            CommandAction::RefreshQr | CommandAction::Logout | CommandAction::ListChats { .. } => None,
        };
        let begun = pending.begun.contains(&command.id);
        let verdict = judge(&command, *self.state.borrow(), begun, self.clock.now());
        // Behind another one of its chat.
        let behind = chat.as_ref().is_some_and(|chat| found.waits.contains(chat));
        let waits = verdict == Verdict::Wait || (verdict == Verdict::Run && behind);
        let span = if waits { Span::none() } else { span(&command) };
        let outcome = match verdict {
            Verdict::Wait => None,
            Verdict::End(outcome) => Some(outcome),
            Verdict::LookUp => self.look_up(&command).instrument(span.clone()).await,
            Verdict::Run if behind => None,
            Verdict::Run => {
                pending.begun.insert(command.id);
                found.ran = true;
                self.carry_out(&command).instrument(span.clone()).await
            }
        };
        let Some(outcome) = outcome else {
            found.waits.extend(chat);
            return;
        };
        if command.action == CommandAction::Logout && outcome != Outcome::Done {
            self.ask(Ask::LogoutFailed).await;
        }
        let (kind, result) = (name(&command.action), result(&outcome));
        count(kind, result);
        metrics::COMMAND_SECONDS.observe(offset.age(self.clock.now()), [kind]);
        let done = Event::CommandDone { command: command.id, outcome };
        span.in_scope(|| {
            tracing::info!(command = %command.id, kind, result, "command ended");
            self.journal.tell(done, runtime::ambient::now());
        });
        pending.answered.insert(offset);
        self.finish(offset, pending).await;
    }

    /// Takes a command out of Redis. What fails now is done at the next sweep.
    async fn finish(&mut self, offset: Offset, pending: &mut Pending) {
        match self.relay.finish(offset).await {
            Ok(()) => {
                pending.answered.remove(&offset);
            }
            Err(error) => {
                metrics::REDIS_ERRORS.count(["commands"]);
                tracing::warn!(%error, "a command stays in the stream");
            }
        }
    }
}

/// Of the trace of who asked.
fn span(command: &Command) -> Span {
    let (id, kind) = (command.id, name(&command.action));
    let span = tracing::info_span!(target: trace::TARGET, "command", %id, kind, trace_id = Empty);
    trace::follow(&span, command.trace);
    span
}

fn count(kind: &'static str, result: &'static str) {
    metrics::COMMANDS.count([kind, result]);
}

/// Why it cannot be read, without its text, which may quote a number or a message.
const fn class(error: &Undecodable) -> &'static str {
    match error {
        Undecodable::TooLarge(_) => "too large",
        Undecodable::Malformed(_) => "malformed",
        Undecodable::Version(_) => "newer version",
        Undecodable::Payload { .. } => "unknown kind or body",
    }
}

const fn name(action: &CommandAction) -> &'static str {
    match action {
        CommandAction::SendText { .. } => "sendText",
        CommandAction::RefreshQr => "refreshQr",
        CommandAction::Logout => "logout",
        CommandAction::ListChats { .. } => "listChats",
    }
}

const fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed { .. } => "failed",
        Outcome::Expired => "expired",
        Outcome::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use relay::Envelope;

    use super::*;

    #[test]
    fn what_is_said_of_an_unreadable_command_quotes_nothing_of_it() {
        let body = r#"{"v":1,"kind":"command","at":"2026-01-01T00:00:00Z","body":"5511999999999@c.us"}"#;
        for (text, expected) in [(body, "unknown kind or body"), ("5511999999999@c.us", "malformed")] {
            let error = Envelope::<Command>::decode(text).expect_err("unreadable");
            assert_eq!(class(&error), expected);
        }
    }
}
