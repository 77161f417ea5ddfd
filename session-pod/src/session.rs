//! The life of a session as a pure state machine: no I/O, no clock, no engine. What each signal leads to, in every
//! state, stands in `docs/reference/session-states.md`, which is generated from here. The only place that may decide
//! that a code is shown, that the page is reloaded, or that the browser is started again.

mod codes;
mod faults;
#[cfg(test)]
mod properties;
mod steps;
#[cfg(test)]
mod table;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use relay::{LinkCode, LinkKind, SessionState};

use codes::Codes;
use faults::Faults;
pub use words::{CodeText, Link, Phase, Reason};

/// Something that the session learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The browser answers.
    BrowserUp,
    /// A new life of the page began: nothing that the old one said counts any more.
    PageLoading,
    /// The page and the scripts in it are ready, linked or not.
    PageReady,
    /// The page cannot be loaded; it is tried again.
    PageUnreachable,
    /// The page and the scripts do not fit together.
    PageOutdated,
    /// Where the page stands with WhatsApp.
    Stream(Phase),
    /// A code to link a phone with.
    Code(CodeText),
    /// The last code does not count any more, and there is no other yet.
    CodeGone,
    /// WhatsApp makes no further codes until it is asked.
    CodesPaused,
    /// No code could be made.
    CodeFailed,
    /// Somebody asks for a new code.
    LinkAsked,
    /// The link to the phone is gone.
    LinkRemoved(Reason),
    /// WhatsApp says that the account is banned.
    Banned,
    /// The page has messages of which it did not tell.
    Deaf,
    /// The page told of a message by itself.
    Heard,
    /// The page died or hangs; the browser still runs.
    PageCrashed,
    /// The page answers, and does not find out where it stands.
    PageStuck,
    /// The browser is gone, or did not start.
    BrowserLost,
    /// The pod is to end.
    Stop,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell Redis, the log and the metrics of the state.
    Report,
    /// Show this code.
    ShowCode(LinkCode),
    /// Show no code.
    HideCode,
    /// Have a code made.
    MakeCode,
    /// Look for what was missed.
    Sync,
    /// Load the page anew.
    Reload,
    /// Close what is left of the browser and start it again after a while.
    Restart(Duration),
    /// Put the browser's profile aside and start with a new one.
    Renew,
    /// Close the browser in good order and end.
    End,
    /// Close the browser and end as failed.
    GiveUp,
}

/// Where a session stands, with what it must remember to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The state that others see.
    pub state: SessionState,
    /// Why, where the state alone does not say.
    pub reason: Option<Reason>,
    /// When the state began.
    pub since: Timestamp,
    /// Whether a phone is linked, as far as is known. Survives the process.
    pub link: Link,
    kind: LinkKind,
    ready: bool,
    phase: Option<Phase>,
    codes: Codes,
    faults: Faults,
    /// Pages that got nowhere, a series of their own.
    stuck: Faults,
    code_asked: bool,
    reloaded_as_outdated: bool,
    /// When the page was last found to be deaf.
    deaf_at: Option<Timestamp>,
}

impl Session {
    /// At the start of the process, with what an earlier one knew of the link.
    #[must_use]
    pub const fn new(link: Link, kind: LinkKind, now: Timestamp) -> Self {
        Self {
            state: SessionState::Starting,
            reason: None,
            since: now,
            link,
            kind,
            ready: false,
            phase: None,
            codes: Codes::new(),
            faults: Faults::new(),
            stuck: Faults::new(),
            code_asked: false,
            reloaded_as_outdated: false,
            deaf_at: None,
        }
    }

    /// One that ended before it could begin.
    #[must_use]
    pub const fn stopped(link: Link, kind: LinkKind, reason: Reason, now: Timestamp) -> Self {
        let mut session = Self::new(link, kind, now);
        (session.state, session.reason) = (SessionState::Stopping, Some(reason));
        session
    }

    /// The code that is shown.
    #[must_use]
    pub const fn code(&self) -> Option<&LinkCode> {
        self.codes.shown()
    }
}

/// What a signal leads to. Total: any signal may come in any state.
#[must_use]
pub fn step(before: &Session, signal: Signal, now: Timestamp) -> (Session, Vec<Effect>) {
    if before.state == SessionState::Stopping {
        return (before.clone(), Vec::new());
    }
    let mut next = before.clone();
    let decided = next.take(signal, now);
    let effects = complete(before, &mut next, decided, now);
    (next, effects)
}

/// What follows from every change of state, whatever the signal was.
fn complete(before: &Session, next: &mut Session, decided: Vec<Effect>, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    if next.state != SessionState::AwaitingLink {
        next.codes.hide();
    }
    if before.code().is_some() && next.code().is_none() {
        effects.push(Effect::HideCode);
    }
    if next.state != before.state {
        next.since = now;
    }
    if (next.state, next.reason) != (before.state, before.reason) {
        effects.push(Effect::Report);
    }
    if next.state == SessionState::Connected && before.state != SessionState::Connected {
        effects.push(Effect::Sync);
    }
    effects.extend(decided);
    effects
}
