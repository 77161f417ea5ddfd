//! The pause between two sends. WhatsApp bans accounts that write like machines. Pure.

use std::str::FromStr;
use std::time::Duration;

/// A range from which each pause is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    least: Duration,
    most: Duration,
}

/// A minute between two messages is no pace but a standstill.
const LONGEST_MS: u64 = 60_000;

impl FromStr for Gap {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let complaint = || format!("expected <least>-<most> in milliseconds, at most {LONGEST_MS}");
        let (least, most) = value.split_once('-').unwrap_or((value, value));
        let parse = |part: &str| part.trim().parse::<u64>().map_err(|_| complaint());
        let (least, most) = (parse(least)?, parse(most)?);
        if least > most || most > LONGEST_MS {
            return Err(complaint());
        }
        Ok(Self { least: Duration::from_millis(least), most: Duration::from_millis(most) })
    }
}

impl Gap {
    /// One pause; `fraction` is random, from 0 up to 1.
    #[must_use]
    pub fn draw(&self, fraction: f64) -> Duration {
        self.least + self.most.saturating_sub(self.least).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_the_range() {
        let gap: Gap = "1000-3000".parse().expect("good");
        assert_eq!(gap.draw(0.0), Duration::from_secs(1));
        assert_eq!(gap.draw(0.5), Duration::from_secs(2));
        assert_eq!("0".parse::<Gap>().expect("good").draw(0.9), Duration::ZERO);
        for bad in ["", "-", "5-1", "x", "0-100000"] {
            assert!(bad.parse::<Gap>().is_err(), "{bad}");
        }
    }
}
