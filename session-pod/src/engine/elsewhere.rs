//! When WhatsApp's page is loaded again while the browser shows another one: at once the first time, and then ever more
//! rarely. A portal or a proxy may answer every load, and lead each to a page of its own. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Between two tries to load the page, doubled each time.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Something was loaded.
    Done,
    /// Nobody knows: slow is not gone.
    Slow,
    /// Nothing was loaded.
    Failed,
}

/// What is remembered until the page is there.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// A load was done already, and led elsewhere.
    led: bool,
    /// Not before is it loaded again.
    again_at: Option<Instant>,
    retry: Duration,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self { led: false, again_at: None, retry: RETRY.0 }
    }
}

impl Elsewhere {
    /// How long nothing is to be loaded yet.
    pub(super) fn rests(&self, now: Instant) -> Duration {
        self.again_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// A load ended: the pause until the next look, and whether the page counts as unreachable. `fraction` is random,
    /// from 0 to 1.
    pub(super) fn after(&mut self, load: Load, now: Instant, fraction: f64) -> (Duration, bool) {
        let unreachable = match load {
            Load::Done if !std::mem::replace(&mut self.led, true) => return (Duration::ZERO, false),
            Load::Done | Load::Failed => true,
            Load::Slow => false,
        };
        let pause = self.retry.mul_f64(0.5 + fraction / 2.0);
        self.retry = (self.retry * 2).min(RETRY.1);
        self.again_at = Some(now + pause);
        (pause, unreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_led_elsewhere_again_and_again_says_so_and_loads_ever_more_rarely() {
        let (mut elsewhere, now) = (Elsewhere::default(), Instant::now());
        assert_eq!(elsewhere.after(Load::Done, now, 1.0), (Duration::ZERO, false));
        assert_eq!(elsewhere.rests(now), Duration::ZERO);
        for seconds in [2, 4, 8, 16, 30, 30] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(elsewhere.after(Load::Done, now, 1.0), (pause, true));
            assert_eq!(elsewhere.rests(now), pause, "whatever wakes it");
            assert_eq!(elsewhere.rests(now + pause), Duration::ZERO);
        }
    }

    #[test]
    fn a_slow_load_is_given_time_and_a_failed_one_is_told() {
        let (mut elsewhere, now) = (Elsewhere::default(), Instant::now());
        assert_eq!(elsewhere.after(Load::Slow, now, 0.0), (Duration::from_secs(1), false));
        assert_eq!(elsewhere.rests(now), Duration::from_secs(1));
        assert_eq!(elsewhere.after(Load::Failed, now, 0.0), (Duration::from_secs(2), true));
    }
}
