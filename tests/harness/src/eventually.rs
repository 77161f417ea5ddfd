//! The one way a test waits: until a condition holds, with an end, and saying what was seen when it did not.

use std::{fmt::Display, panic::Location, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// Short enough not to be what a test spends its time on.
const POLL: Duration = Duration::from_millis(25);

/// Asks `probe` until it answers `Ok`, and gives that value. `Err` carries what was seen instead, for the message.
///
/// # Panics
/// After `limit`, at the caller's line, with `what` was waited for and what was seen last; also when a single probe
/// does not answer within `limit`.
#[track_caller]
pub fn eventually<T, S: Display>(
    limit: Duration,
    what: &str,
    probe: impl AsyncFnMut() -> Result<T, S>,
) -> impl Future<Output = T> {
    wait(limit, what, probe, Location::caller())
}

#[expect(clippy::panic, reason = "this is how a test fails")]
async fn wait<T, S: Display>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, S>,
    caller: &Location<'_>,
) -> T {
    let end = Instant::now() + limit;
    let mut seen = None;
    // A probe that answers at once wins over any time-out: the clock has to be asked as well.
    while Instant::now() < end {
        match timeout_at(end, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(state)) => seen = Some(state.to_string()),
            Err(_) => break,
        }
        sleep(POLL).await;
    }
    let seen = seen.unwrap_or_else(|| "nothing: the first look did not come back".to_owned());
    panic!("{caller}: waited {limit:?} in vain for {what}; last seen: {seen}")
}
