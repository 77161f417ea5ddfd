//! Whether the page tells what it gets: its own store, looked at now and then, against what was told. Pure.

use jiff::Timestamp;
use relay::MessageId;

/// What the last looks have shown.
#[derive(Debug, Default)]
pub struct Hearing {
    /// The newest message at the last look, when nobody had told of it.
    untold: Option<(MessageId, Timestamp)>,
    /// One that even a comparison of the whole store did not bring up: asking again would not either.
    excused: Option<MessageId>,
}

impl Hearing {
    /// A look: the newest message of the store, and whether it was told. Says whether the page is deaf, which takes two
    /// looks: at the first the event may be on its way.
    pub fn is_deaf(&mut self, newest: &MessageId, sent_at: Timestamp, told: bool) -> bool {
        if told || self.excused.as_ref() == Some(newest) {
            self.untold = None;
            return false;
        }
        let again = self.untold.as_ref().is_some_and(|(untold, _)| untold == newest);
        self.untold = Some((newest.clone(), sent_at));
        again
    }

    /// A comparison of the store has told all that it found.
    pub fn compared(&mut self, told: impl Fn(&MessageId, Timestamp) -> bool) {
        if let Some((untold, sent_at)) = self.untold.take() {
            self.excused = Some(untold).filter(|untold| !told(untold, sent_at));
        }
    }

    /// The page begins anew, or is not connected: what is in its store is looked for by others.
    pub fn reset(&mut self) {
        self.untold = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MessageId {
        format!("false_5511999999999@c.us_3A{number}").parse().expect("valid")
    }

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_message_on_its_way_is_no_deafness_and_one_that_never_came_is() {
        let mut hearing = Hearing::default();
        assert!(!hearing.is_deaf(&id(1), AT, false));
        assert!(!hearing.is_deaf(&id(1), AT, true));
        assert!(!hearing.is_deaf(&id(2), AT, false));
        assert!(hearing.is_deaf(&id(2), AT, false));
        hearing.reset();
        assert!(!hearing.is_deaf(&id(2), AT, false));
    }

    #[test]
    fn what_no_comparison_finds_does_not_repeat_it_for_ever() {
        let mut hearing = Hearing::default();
        assert!(!hearing.is_deaf(&id(1), AT, false) && hearing.is_deaf(&id(1), AT, false));
        hearing.compared(|_, _| false);
        assert!(!hearing.is_deaf(&id(1), AT, false) && !hearing.is_deaf(&id(1), AT, false));
        assert!(!hearing.is_deaf(&id(2), AT, false) && hearing.is_deaf(&id(2), AT, false));
        hearing.compared(|_, _| true);
        assert!(!hearing.is_deaf(&id(3), AT, false) && hearing.is_deaf(&id(3), AT, false));
    }
}
