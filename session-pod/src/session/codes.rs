//! Which code is shown, the how-manieth it is, and until when it counts. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use relay::{LinkCode, LinkKind};

use super::CodeText;

/// WhatsApp shows the first QR code of a series for a minute and each further one for 20 s.
const FIRST_QR: Duration = Duration::from_mins(1);
const NEXT_QR: Duration = Duration::from_secs(20);

/// wa-js renews a pairing code after 3.25 minutes.
const PAIRING_CODE: Duration = Duration::from_secs(195);

/// The codes since a phone was last asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Codes {
    made: u32,
    /// Of those, the codes of the page's own series: how long a code counts depends on its place in that.
    of_page: u32,
    shown: Option<LinkCode>,
    since: Option<Timestamp>,
}

/// A code that was shown for less than this is what somebody wants who asks for a new one.
const NEW: SignedDuration = SignedDuration::from_secs(5);

impl Codes {
    pub(super) const fn new() -> Self {
        Self { made: 0, of_page: 0, shown: None, since: None }
    }

    pub(super) const fn shown(&self) -> Option<&LinkCode> {
        self.shown.as_ref()
    }

    /// Whether the code that is shown came only just now.
    pub(super) fn is_new(&self, now: Timestamp) -> bool {
        self.shown.is_some() && self.since.is_some_and(|since| now.duration_since(since) < NEW)
    }

    pub(super) fn hide(&mut self) {
        self.shown = None;
    }

    /// A new series: the next code is the first.
    pub(super) fn restart(&mut self) {
        *self = Self::new();
    }

    /// A page that begins anew begins a series of its own, for somebody who still waits for the same phone.
    pub(super) fn page_gone(&mut self) {
        self.of_page = 0;
    }

    /// The code to be shown; nothing when it is the one that is shown already.
    pub(super) fn show(&mut self, code: CodeText, now: Timestamp) -> Option<LinkCode> {
        if self.shown.as_ref().is_some_and(|shown| shown.code == code.text) {
            return None;
        }
        self.made = self.made.saturating_add(1);
        self.of_page = self.of_page.saturating_add(1);
        let life = match (code.kind, self.of_page) {
            (LinkKind::PairingCode, _) => PAIRING_CODE,
            (LinkKind::Qr, 1) => FIRST_QR,
            (LinkKind::Qr, _) => NEXT_QR,
        };
        let expires_at =
            now.checked_add(SignedDuration::try_from(life).unwrap_or(SignedDuration::ZERO)).unwrap_or(Timestamp::MAX);
        let code = LinkCode { kind: code.kind, code: code.text, attempt: self.made, expires_at };
        (self.shown, self.since) = (Some(code.clone()), Some(now));
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Link, Session, Signal, step};

    fn qr(text: &str) -> CodeText {
        CodeText { kind: LinkKind::Qr, text: text.to_owned() }
    }

    #[test]
    fn the_first_code_lives_longer_and_each_is_counted_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut codes = Codes::new();
        let first = codes.show(qr("a"), now).expect("new");
        assert_eq!((first.attempt, first.expires_at.as_second()), (1, 60));
        assert_eq!(codes.show(qr("a"), now), None);
        let second = codes.show(qr("b"), now).expect("new");
        assert_eq!((second.attempt, second.expires_at.as_second()), (2, 20));
        codes.restart();
        assert_eq!(codes.show(qr("c"), now).expect("new").attempt, 1);
    }

    #[test]
    fn after_a_reload_the_first_code_lives_longer_again_and_the_count_goes_on() {
        let mut session = Session::new(Link::Open, LinkKind::Qr, Timestamp::UNIX_EPOCH);
        let mut hear = |signal| session = step(&session, signal, Timestamp::UNIX_EPOCH).0;
        hear(Signal::BrowserUp);
        for code in ["a", "b"] {
            hear(Signal::Code(qr(code)));
        }
        hear(Signal::PageLoading);
        hear(Signal::Code(qr("c")));
        let code = session.code().expect("one");
        assert_eq!((code.attempt, code.expires_at.as_second()), (3, 60));
    }
}
