//! Whether an event of the page is the next one, was seen already, or comes after others that were lost. Pure.

/// The number of the last event that was taken in this life of the page.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: u64,
}

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the next one.
    Next,
    /// It was taken already.
    Seen,
    /// Events after this number are missing.
    Gap { after: u64 },
}

impl Sequence {
    /// A new life of the page numbers from 1 again.
    pub(super) fn restart(&mut self) {
        self.last = 0;
    }

    /// Where the event with number `n` belongs; the next one counts as taken from now on.
    pub(super) fn place(&mut self, n: u64) -> Place {
        if n <= self.last {
            return Place::Seen;
        }
        if self.last.checked_add(1) != Some(n) {
            return Place::Gap { after: self.last };
        }
        self.last = n;
        Place::Next
    }

    /// Whether some event up to `n` was not taken.
    pub(super) fn behind(&self, n: u64) -> bool {
        self.last < n
    }

    /// Events up to `n` are lost for good.
    pub(super) fn skip_to(&mut self, n: u64) {
        self.last = self.last.max(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_taken_once_and_a_gap_is_seen() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.place(1), Place::Next);
        assert_eq!(sequence.place(1), Place::Seen);
        assert_eq!(sequence.place(4), Place::Gap { after: 1 });
        sequence.skip_to(3);
        assert_eq!(sequence.place(4), Place::Next);
        sequence.restart();
        assert_eq!(sequence.place(1), Place::Next);
    }
}
