//! Whether an event of the page is the next one, was seen already, comes after others that were lost, or belongs to a life
//! of the page that is over. Pure.

/// The life of the page that counts, and the number of the last event of it that was taken.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    life: u64,
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
    /// The page has begun a new life since.
    Late,
}

impl Sequence {
    /// From now on this life counts, which numbers its events from 1 again. Says whether it is a new one.
    pub(super) const fn begin(&mut self, life: u64) -> bool {
        if life <= self.life {
            return false;
        }
        (self.life, self.last) = (life, 0);
        true
    }

    /// Whether this is the life that counts.
    pub(super) const fn is_now(&self, life: u64) -> bool {
        self.life == life
    }

    /// The number of the last event that was taken.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Where the event with number `n` of a life that has begun belongs; the next one counts as taken from now on.
    pub(super) fn place(&mut self, life: u64, n: u64) -> Place {
        if life < self.life {
            return Place::Late;
        }
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
    pub(super) const fn behind(&self, n: u64) -> bool {
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
        assert!(sequence.begin(1) && !sequence.begin(1));
        assert_eq!(sequence.place(1, 1), Place::Next);
        assert_eq!(sequence.place(1, 1), Place::Seen);
        assert_eq!(sequence.place(1, 4), Place::Gap { after: 1 });
        sequence.skip_to(3);
        assert_eq!(sequence.place(1, 4), Place::Next);
    }

    #[test]
    fn what_an_old_life_says_late_moves_no_number_of_the_new_one() {
        let mut sequence = Sequence::default();
        sequence.begin(1);
        sequence.skip_to(56);
        assert!(sequence.begin(2));
        assert_eq!(sequence.place(1, 57), Place::Late);
        assert_eq!(sequence.place(2, 1), Place::Next);
        assert!(!sequence.begin(1) && sequence.is_now(2));
    }
}
