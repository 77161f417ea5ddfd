//! How much one company may ask of one replica, so that a loop in its frontend is its own trouble and nobody else's. The
//! clients without a token are for the proxy to limit: their addresses are known there only.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use relay::CompanyId;

/// Counts the requests of each company. As many counters as there are companies, of some hundred bytes: only who holds the
/// secret can make more.
#[derive(Clone)]
pub struct Limits(Arc<DefaultKeyedRateLimiter<CompanyId>>);

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    /// So many a second, and twice as many at once.
    #[must_use]
    pub fn new(requests: NonZeroU16) -> Self {
        let requests = NonZeroU32::from(requests);
        let burst = requests.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        Self(Arc::new(RateLimiter::keyed(Quota::per_second(requests).allow_burst(burst))))
    }

    /// Counts a request, or says how long its company has to wait for the next one.
    pub fn count(&self, company: &CompanyId) -> Result<(), Duration> {
        let now = DefaultClock::default().now();
        self.0.check_key(company).map_err(|refused| refused.wait_time_from(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_companys_loop_is_its_own_trouble() {
        let limits = Limits::new(NonZeroU16::new(5).expect("five"));
        let (acme, globex) = ("acme".parse().expect("valid"), "globex".parse().expect("valid"));
        let begun = std::time::Instant::now();
        let refused = (0..20).filter(|_| limits.count(&acme).is_err()).count();
        // Ten at once, and one more for each 200 ms that this took on a busy machine.
        let more = usize::try_from(begun.elapsed().as_millis() / 200).expect("small") + 1;
        assert!(refused <= 10 && refused + more >= 10, "{refused} refused, {more} more at most");
        let wait = (0..20).find_map(|_| limits.count(&acme).err()).expect("still too many");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limits.count(&globex), Ok(()));
    }
}
