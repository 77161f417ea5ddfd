//! Who of several operators acts: whoever holds the Lease. The others keep their caches warm and write nothing.
//!
//! No clock of another machine is believed: a Lease counts as abandoned when *we* have seen it unchanged for its whole
//! duration, by the monotonic clock, so that a wall clock that jumps by an hour makes no second leader.

mod decide;
mod guard;
mod lease;

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use guard::guarded;
pub use lease::{Election, campaign};

/// A Lease that nobody renewed for so long is abandoned. Cold take-over takes this, one [`POLL`] and two calls: below
/// 20 s with an API server that answers within 1.5 s.
const DURATION: Duration = Duration::from_secs(15);

/// A leader that could not renew for so long stops writing. What it sent last may be under way for a while, and the
/// difference to [`DURATION`] is there for that.
const GIVE_UP: Duration = Duration::from_secs(10);

/// How often the leader renews and a standby looks. A Lease that was given back is taken within this and two calls.
const POLL: Duration = Duration::from_secs(2);

/// Whether this process may write. Clones share it.
#[derive(Debug, Clone)]
pub struct Leadership(Arc<watch::Sender<Term>>);

#[derive(Debug, Clone, Copy)]
struct Term {
    /// Counts how often it was gained.
    number: u64,
    /// Held until then, if nothing more happens.
    until: Option<Instant>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Term { number: 0, until: None })))
    }
}

impl Leadership {
    /// Whether it is held now. Asked before each write.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.borrow().until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it is not held (any more).
    pub async fn lost(&self) {
        let mut terms = self.0.subscribe();
        loop {
            let until = terms.borrow_and_update().until;
            let Some(until) = until.filter(|until| Instant::now() < *until) else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                // The sender lives in `self`.
                _ = terms.changed() => {}
            }
        }
    }

    /// An item each time that it was gained, also when that was before somebody listened.
    pub fn gained(&self) -> impl Stream<Item = ()> + Send + 'static + use<> {
        let terms = self.0.subscribe();
        stream::unfold((terms, 0), |(mut terms, seen)| async move {
            let term = terms.wait_for(|term| term.number > seen).await.ok()?.number;
            Some(((), (terms, term)))
        })
    }

    /// Held for [`GIVE_UP`] from `began`, when the renewal that succeeded was sent. True when that is new.
    fn extend(&self, began: Instant) -> bool {
        let new = !self.holds();
        self.0.send_modify(|term| {
            term.number += u64::from(new);
            term.until = Some(began + GIVE_UP);
        });
        new
    }

    /// Not held from now on.
    fn give_up(&self) {
        self.0.send_modify(|term| term.until = None);
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_leader_that_cannot_renew_stops_by_itself_and_every_term_is_told_once() {
        let leadership = Leadership::default();
        assert!(!leadership.holds());
        leadership.lost().await;
        assert!(leadership.extend(Instant::now()));
        let mut gained = Box::pin(leadership.gained());
        gained.next().await.expect("it was gained before");
        // Renewed long ago, as far as it can tell: only a moment is left of the term.
        let nearly_over =
            Instant::now().checked_sub(GIVE_UP).expect("a clock that has run") + Duration::from_millis(50);
        assert!(!leadership.extend(nearly_over), "a renewal is no new term");
        leadership.lost().await;
        assert!(!leadership.holds());
        assert!(leadership.extend(Instant::now()));
        gained.next().await.expect("gained again");
        leadership.give_up();
        assert!(!leadership.holds());
    }

    #[test]
    fn a_deposed_leader_has_stopped_before_another_may_begin() {
        assert!(GIVE_UP + POLL < DURATION);
    }
}
