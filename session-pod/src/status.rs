//! What the session says about itself, put together from the state machine and from what the engine told. Pure.

use jiff::Timestamp;
use relay::{Account, Disconnect, EngineVersions, SessionState, SessionStatus};

use crate::session::{Link, Reason, Session};

/// What a status holds beyond the state machine's part.
#[derive(Debug, Clone)]
pub struct StatusBook {
    pod_uid: String,
    sequence: u64,
    /// What runs.
    pub engine: EngineVersions,
    /// The account that was linked last.
    pub account: Option<Account>,
    last_connected_at: Option<Timestamp>,
    last_disconnect: Option<Disconnect>,
    last: Option<SessionStatus>,
}

impl StatusBook {
    /// For a process that begins.
    #[must_use]
    pub const fn new(pod_uid: String, account: Option<Account>) -> Self {
        Self {
            pod_uid,
            sequence: 0,
            engine: EngineVersions { browser: None, whatsapp_web: None, wa_js: None, missing: Vec::new() },
            account,
            last_connected_at: None,
            last_disconnect: None,
            last: None,
        }
    }

    /// A state ended and another began.
    pub fn moved(&mut self, from: SessionState, to: &Session, now: Timestamp) {
        match (from == SessionState::Connected, to.state == SessionState::Connected) {
            (false, true) => self.last_connected_at = Some(now),
            (true, false) => {
                self.last_connected_at = Some(now);
                let reason = to.reason.map_or_else(|| to.state.as_str().to_owned(), |reason| reason.to_string());
                self.last_disconnect = Some(Disconnect { at: now, reason });
            }
            _ => {}
        }
    }

    /// The new status, if anything in it is new. Where the session's reason leaves open why, a failing volume
    /// is one: page and browser say nothing of it, and a link that is made now does not last.
    pub fn news(&mut self, session: &Session, volume_failing: bool) -> Option<SessionStatus> {
        let vague = session.reason.is_none_or(Reason::is_vague);
        let reason = if volume_failing && vague { Some(Reason::VolumeFailing) } else { session.reason };
        let mut status = SessionStatus {
            state: session.state,
            reason: reason.map(|reason| reason.to_string()),
            since: session.since,
            sequence: self.sequence,
            pod_uid: self.pod_uid.clone(),
            account: self.account.clone().filter(|_| session.link == Link::Linked),
            last_connected_at: self.last_connected_at,
            last_disconnect: self.last_disconnect.clone(),
            engine: self.engine.clone(),
            link: session.code().map(|code| code.kind),
        };
        if self.last.as_ref() == Some(&status) {
            return None;
        }
        self.sequence = self.sequence.saturating_add(1);
        status.sequence = self.sequence;
        self.last = Some(status.clone());
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use relay::LinkKind;

    use super::*;
    use crate::session::{Phase, Signal, step};

    #[test]
    fn a_status_is_news_only_when_something_changed() {
        let now = Timestamp::UNIX_EPOCH;
        let account = Account { id: "5511999999999@c.us".to_owned(), lid: None, push_name: None, linked_at: None };
        let mut book = StatusBook::new("pod".to_owned(), Some(account));
        let mut session = Session::new(Link::Open, LinkKind::Qr, now);
        let first = book.news(&session, false).expect("the first is news");
        assert_eq!((first.sequence, &first.account), (1, &None));
        assert_eq!(book.news(&session, false), None);
        for (failing, reason) in [(true, Some("VolumeFailing")), (false, None)] {
            assert_eq!(book.news(&session, failing).expect("news").reason.as_deref(), reason);
        }
        for signal in [Signal::PageReady, Signal::Stream(Phase::Up), Signal::Stream(Phase::Down)] {
            let from = session.state;
            session = step(&session, signal, now).0;
            book.moved(from, &session, now);
        }
        let status = book.news(&session, true).expect("changed");
        assert_eq!((status.sequence, status.reason.as_deref()), (4, Some("StreamLost")), "the session knows better");
        assert!(status.account.is_some());
        assert_eq!(status.last_disconnect.expect("lost").reason, "StreamLost");
    }
}
