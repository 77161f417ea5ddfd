//! What each signal does to a session. Pure; what follows from a change of state itself is added by `super::complete`.

use jiff::Timestamp;
use relay::{LinkKind, SessionState as S};

use super::faults::{QUIET, Remedy};
use super::{CodeText, Effect, Link, Phase, Reason, Session, Signal};

impl Session {
    pub(super) fn take(&mut self, signal: Signal, now: Timestamp) -> Vec<Effect> {
        match signal {
            Signal::BrowserUp => self.browser_up(),
            Signal::PageLoading => self.page_gone(Reason::PageReloaded),
            Signal::PageReady => self.page_ready(),
            Signal::PageUnreachable => self.page_gone(Reason::PageUnreachable),
            Signal::PageOutdated => self.page_outdated(),
            Signal::Stream(phase) => self.stream(phase),
            Signal::Code(code) => self.code_came(code, now),
            Signal::CodeGone => self.code_gone(),
            Signal::CodesPaused => self.codes_end(Reason::CodesUnused),
            Signal::CodeFailed => self.codes_end(Reason::CodeFailed),
            Signal::LinkAsked => self.link_asked(now),
            Signal::LinkRemoved(reason) => self.link_removed(reason),
            Signal::Banned => self.enter(S::Banned, Some(Reason::AccountBanned)),
            Signal::Deaf => self.deaf(now),
            Signal::Heard => self.heard(),
            Signal::PageCrashed => self.page_crashed(now),
            Signal::PageStuck => self.page_stuck(now),
            Signal::BrowserLost => self.browser_lost(now),
            Signal::Stop => {
                self.enter(S::Stopping, Some(Reason::StopAsked));
                vec![Effect::End]
            }
        }
    }

    fn enter(&mut self, state: S, reason: Option<Reason>) -> Vec<Effect> {
        (self.state, self.reason) = (state, reason);
        Vec::new()
    }

    fn browser_up(&mut self) -> Vec<Effect> {
        match self.state {
            S::Starting => self.enter(S::Loading, None),
            _ => Vec::new(),
        }
    }

    /// What the old life of the page said does not count any more. Nothing is done: the engine loads and injects by
    /// itself, and the new life tells where it stands.
    fn page_gone(&mut self, reason: Reason) -> Vec<Effect> {
        self.forget_page();
        match self.state {
            S::Starting | S::Loading | S::AwaitingLink | S::QrIdle | S::Outdated => {
                // An ordinary load needs no reason.
                self.enter(S::Loading, Some(reason).filter(|reason| *reason != Reason::PageReloaded))
            }
            S::Deaf if reason == Reason::PageReloaded => self.enter(S::Reconnecting, Some(Reason::EventsMissing)),
            S::Syncing | S::Connected | S::Deaf | S::Conflict => self.enter(S::Reconnecting, Some(reason)),
            S::Reconnecting if reason != Reason::PageReloaded => self.enter(S::Reconnecting, Some(reason)),
            // The reason for which the browser or the page went stays until the stream is back.
            S::Reconnecting | S::LoggedOut | S::Banned | S::Stopping => Vec::new(),
        }
    }

    fn forget_page(&mut self) {
        (self.ready, self.phase, self.code_asked) = (false, None, false);
        self.codes.page_gone();
    }

    fn page_ready(&mut self) -> Vec<Effect> {
        self.ready = true;
        self.reloaded_as_outdated = false;
        self.settle()
    }

    /// One reload, because modules that came in an unlucky order look like modules that are missing. Never a second
    /// one: WhatsApp has changed, and a loop of reloads helps nobody.
    fn page_outdated(&mut self) -> Vec<Effect> {
        if self.reloaded_as_outdated {
            return self.enter(S::Outdated, Some(Reason::ModulesMissing));
        }
        self.reloaded_as_outdated = true;
        vec![Effect::Reload]
    }

    /// A phase that is told again is no news: it must not lead out of what was learned since it began, a ban or deafness.
    fn stream(&mut self, phase: Phase) -> Vec<Effect> {
        if self.phase == Some(phase) {
            return Vec::new();
        }
        self.phase = Some(phase);
        // What a page that does not fit says of its stream, as long as it is not ready, makes it fit no better.
        if self.reason == Some(Reason::ModulesMissing) && !self.ready {
            return Vec::new();
        }
        self.settle()
    }

    /// Where readiness and phase together lead. A page that is not ready may still be restoring its login: until it is
    /// ready, "not linked" and "connected" are both not believed.
    fn settle(&mut self) -> Vec<Effect> {
        match self.phase {
            Some(Phase::Unlinked) if self.ready => self.unlinked(),
            Some(Phase::Up) if self.ready => self.linked(S::Connected, None),
            None | Some(Phase::Unlinked | Phase::Up) => Vec::new(),
            Some(Phase::Syncing) => self.linked(S::Syncing, None),
            Some(Phase::Down) => self.linked(S::Reconnecting, Some(Reason::StreamLost)),
            Some(Phase::Conflict) => self.linked(S::Conflict, Some(Reason::OpenedElsewhere)),
            Some(Phase::AccountBlocked) => self.enter(S::Banned, Some(Reason::AccountBanned)),
            Some(Phase::VersionRefused) => self.enter(S::Outdated, Some(Reason::VersionRefused)),
            Some(Phase::ProxyBlocked) if self.link == Link::Linked => {
                self.enter(S::Reconnecting, Some(Reason::ProxyBlocked))
            }
            Some(Phase::ProxyBlocked) => self.enter(S::Loading, Some(Reason::ProxyBlocked)),
        }
    }

    fn linked(&mut self, state: S, reason: Option<Reason>) -> Vec<Effect> {
        self.link = Link::Linked;
        self.codes.restart();
        self.enter(state, reason)
    }

    fn unlinked(&mut self) -> Vec<Effect> {
        match (self.link, self.state) {
            // The link went while nobody looked. A new code only when asked for.
            (Link::Linked | Link::Removed, S::Banned) => {
                self.link = Link::Removed;
                Vec::new()
            }
            (Link::Linked, _) => {
                self.link = Link::Removed;
                self.enter(S::LoggedOut, Some(Reason::LinkMissing))
            }
            (Link::Removed, S::LoggedOut) | (Link::Open, S::AwaitingLink | S::QrIdle) => Vec::new(),
            (Link::Removed, _) => self.enter(S::LoggedOut, Some(Reason::LinkMissing)),
            (Link::Open, _) => {
                self.enter(S::Loading, self.reason.filter(|reason| *reason == Reason::LinkAsked));
                self.ask_for_pairing_code()
            }
        }
    }

    /// A pairing code must be asked for, once in a page's life; QR codes come by themselves.
    fn ask_for_pairing_code(&mut self) -> Vec<Effect> {
        if self.kind != LinkKind::PairingCode || self.code_asked {
            return Vec::new();
        }
        self.code_asked = true;
        vec![Effect::MakeCode]
    }

    fn code_came(&mut self, code: CodeText, now: Timestamp) -> Vec<Effect> {
        let waits = matches!(self.state, S::Starting | S::Loading | S::AwaitingLink | S::QrIdle);
        if self.link != Link::Open || code.kind != self.kind || !waits {
            return Vec::new();
        }
        self.enter(S::AwaitingLink, None);
        self.codes.show(code, now).map(Effect::ShowCode).into_iter().collect()
    }

    fn code_gone(&mut self) -> Vec<Effect> {
        self.codes.hide();
        Vec::new()
    }

    fn codes_end(&mut self, reason: Reason) -> Vec<Effect> {
        match self.state {
            S::Loading | S::AwaitingLink | S::QrIdle if self.link == Link::Open => self.enter(S::QrIdle, Some(reason)),
            _ => Vec::new(),
        }
    }

    fn link_asked(&mut self, now: Timestamp) -> Vec<Effect> {
        match self.state {
            S::Starting | S::Syncing | S::Connected | S::Reconnecting | S::Deaf | S::Stopping => Vec::new(),
            // The page is about to tell whether the link still stands.
            S::Loading if self.link == Link::Linked => Vec::new(),
            // Whoever starts a session and asks for a code at once means the one that the start makes.
            S::AwaitingLink if self.codes.is_new(now) => Vec::new(),
            S::Loading | S::AwaitingLink | S::QrIdle if self.link == Link::Open => self.new_series(),
            // The link may have outlived the ban. Only the page knows.
            S::Banned if self.link == Link::Linked => {
                self.enter(S::Reconnecting, Some(Reason::LinkAsked));
                self.reload()
            }
            // Only now does the old profile go: until somebody decides, a wrong word of the page has destroyed nothing.
            S::Loading | S::AwaitingLink | S::QrIdle | S::LoggedOut | S::Banned => {
                self.link = Link::Open;
                self.codes.restart();
                self.forget_page();
                self.enter(S::Starting, Some(Reason::LinkAsked));
                vec![Effect::Renew]
            }
            // A person wants the session here: now taking it over is not fighting.
            S::Conflict => {
                self.enter(S::Reconnecting, Some(Reason::TakenBack));
                self.reload()
            }
            S::Outdated => {
                self.reloaded_as_outdated = false;
                self.enter(S::Loading, Some(Reason::LinkAsked));
                self.reload()
            }
        }
    }

    /// A page that is not ready yet makes its code when it is.
    fn new_series(&mut self) -> Vec<Effect> {
        self.codes.restart();
        self.code_asked = self.ready;
        if self.ready { vec![Effect::MakeCode] } else { Vec::new() }
    }

    fn reload(&mut self) -> Vec<Effect> {
        self.forget_page();
        vec![Effect::Reload]
    }

    fn link_removed(&mut self, reason: Reason) -> Vec<Effect> {
        if self.link != Link::Linked {
            return Vec::new();
        }
        self.link = Link::Removed;
        self.phase = None;
        match self.state {
            S::Banned => Vec::new(),
            _ => self.enter(S::LoggedOut, Some(reason)),
        }
    }

    /// Once, the page is loaded anew: its listeners are lost, and the comparison that follows tells what they missed. If
    /// that did not help, another reload would not either: then its store is read again and again, which is late but
    /// complete, and people see why.
    fn deaf(&mut self, now: Timestamp) -> Vec<Effect> {
        let first = self.deaf_at.is_none_or(|last| now.duration_since(last) > QUIET);
        match self.state {
            S::Connected | S::Deaf => self.deaf_at = Some(now),
            _ => return Vec::new(),
        }
        self.enter(S::Deaf, Some(Reason::EventsMissing));
        if first { self.reload() } else { vec![Effect::Sync] }
    }

    fn heard(&mut self) -> Vec<Effect> {
        match self.state {
            S::Deaf if self.ready && self.phase == Some(Phase::Up) => self.enter(S::Connected, None),
            _ => Vec::new(),
        }
    }

    fn page_crashed(&mut self, now: Timestamp) -> Vec<Effect> {
        // Without a browser there is no page: what comes now is about the one that is gone.
        if self.state == S::Starting {
            return Vec::new();
        }
        self.page_gone(Reason::PageCrashed);
        let remedy = self.faults.page(now);
        self.remedy(remedy)
    }

    /// Only where something is waited for: a page that does not fit, say, is not helped by another reload.
    fn page_stuck(&mut self, now: Timestamp) -> Vec<Effect> {
        if !matches!(self.state, S::Loading | S::Reconnecting) {
            return Vec::new();
        }
        self.page_gone(Reason::PageStuck);
        let remedy = self.stuck.stuck(now);
        self.remedy(remedy)
    }

    fn browser_lost(&mut self, now: Timestamp) -> Vec<Effect> {
        self.page_gone(Reason::BrowserLost);
        if self.state == S::Loading {
            self.enter(S::Starting, Some(Reason::BrowserLost));
        }
        let remedy = self.faults.browser(now);
        self.remedy(remedy)
    }

    fn remedy(&mut self, remedy: Remedy) -> Vec<Effect> {
        match remedy {
            Remedy::Reload => vec![Effect::Reload],
            Remedy::Restart(pause) => vec![Effect::Restart(pause)],
            Remedy::GiveUp => {
                self.enter(S::Stopping, Some(Reason::BrowserFailing));
                vec![Effect::GiveUp]
            }
        }
    }
}
