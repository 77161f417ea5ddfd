//! The two numbers that order things: the fence orders holders of a session, the offset orders its events.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Grows with every take-over of a session. Whoever comes with an older one is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its connection's history for ever: the id that Redis gave it in the stream,
/// `<milliseconds>-<number>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Offset {
    milliseconds: u64,
    number: u64,
}

impl Offset {
    /// Before every event.
    pub const START: Self = Self { milliseconds: 0, number: 0 };

    /// Of its two numbers.
    #[must_use]
    pub const fn new(milliseconds: u64, number: u64) -> Self {
        Self { milliseconds, number }
    }

    /// The smallest offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { milliseconds: self.milliseconds, number },
            None => Self { milliseconds: self.milliseconds.saturating_add(1), number: 0 },
        }
    }

    /// The milliseconds since 1970 and the number within them, for stores that order by numbers.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (self.milliseconds, self.number)
    }

    /// How long ago Redis gave it out. Zero where the two clocks say that it is yet to come.
    #[must_use]
    pub fn age(self, now: Timestamp) -> Duration {
        let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
        Duration::from_millis(now.saturating_sub(self.milliseconds))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

/// A text that is no stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an offset: expected <milliseconds>-<number>")]
pub struct InvalidOffset;

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(value: &str) -> Result<Self, InvalidOffset> {
        let (milliseconds, number) = value.split_once('-').ok_or(InvalidOffset)?;
        let parse = |part: &str| part.parse().map_err(|_| InvalidOffset);
        Ok(Self { milliseconds: parse(milliseconds)?, number: parse(number)? })
    }
}

impl TryFrom<String> for Offset {
    type Error = InvalidOffset;

    fn try_from(value: String) -> Result<Self, InvalidOffset> {
        value.parse()
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn offsets_order_as_redis_orders_them(a in any::<(u64, u64)>(), b in any::<(u64, u64)>()) {
            let offset = |(milliseconds, number)| Offset { milliseconds, number };
            prop_assert_eq!(offset(a).cmp(&offset(b)), a.cmp(&b));
            prop_assert_eq!(offset(a).to_string().parse(), Ok(offset(a)));
        }

        #[test]
        fn what_is_yet_to_come_is_new(milliseconds in 0_u32..u32::MAX, now in 0_u32..u32::MAX) {
            let offset = Offset { milliseconds: milliseconds.into(), number: 7 };
            let age = offset.age(Timestamp::from_millisecond(now.into()).expect("a time"));
            prop_assert_eq!(age.as_millis(), u128::from(now.saturating_sub(milliseconds)));
        }

        #[test]
        fn nothing_lies_between_an_offset_and_the_next(milliseconds in 0..u64::MAX, number in any::<u64>()) {
            let offset = Offset { milliseconds, number };
            prop_assert!(offset < offset.next());
        }
    }
}
