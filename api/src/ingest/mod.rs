//! From the sessions' streams into the database. Wake-ups say where to look, and a sweep looks everywhere in case one
//! was lost. A connection is worked on by one worker at a time, several connections side by side.

mod clean;
mod queue;
mod tell;
mod worker;
mod write;

pub use tell::{Told, message_status_now, room, status_now};

use std::time::Duration;

use futures::StreamExt;
use relay::{ApiRelay, ConnectionId, Endpoint, Names, Note, subscribe};
use runtime::health::Pulse;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use queue::Queue;

/// How often every stream is looked at, whatever the wake-ups say.
const SWEEP: Duration = Duration::from_secs(5);

/// The sweep must turn this often, or the process is not alive.
pub const SWEEP_AT_LEAST: Duration = Duration::from_mins(1);

/// Workers at once: below the pool's connections, so that requests find some too.
const WORKERS: usize = 8;

/// Longest work on one connection before its turn ends. Each call within has a deadline of its own; this is for what
/// they add up to.
const TURN: Duration = Duration::from_secs(30);

/// Reads all streams until the process ends. Fails only when a worker panics, which none may.
pub async fn run(app: App, redis: Endpoint, pulse: Pulse, stop: CancellationToken) -> Result<(), JoinError> {
    let mut wakes = subscribe(redis, vec![ApiRelay::WAKE_EVENTS.to_owned()]);
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut queue = Queue::default();
    let mut workers = JoinSet::new();
    loop {
        while workers.len() < WORKERS
            && let Some(connection) = queue.next()
        {
            workers.spawn(turn(app.clone(), connection));
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = workers.join_next() => {
                let (connection, more) = ended?;
                queue.done(connection, more);
            }
            Some(note) = wakes.next() => match note {
                Note::Subscribed => queue.push_all(app.fleet().all()),
                Note::Message { channel, .. } => queue.push_all(Names::of_channel(&channel).map(|names| names.0)),
            },
            _ = sweep.tick() => {
                pulse.beat();
                queue.push_all(app.fleet().all());
            }
        }
    }
    // A worker that has begun ends its batch: what it committed is then trimmed and told.
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    Ok(())
}

/// One turn of a connection. True when there is more.
async fn turn(app: App, connection: ConnectionId) -> (ConnectionId, bool) {
    let more = match tokio::time::timeout(TURN, worker::drain(&app, connection)).await {
        Ok(Ok(more)) => more,
        Ok(Err(error)) => failed(connection, &error),
        Err(elapsed) => failed(connection, &elapsed),
    };
    (connection, more)
}

/// The sweep tries again.
fn failed(connection: ConnectionId, error: &dyn std::fmt::Display) -> bool {
    metrics::counter!("api_ingest_errors_total").increment(1);
    tracing::warn!(%connection, %error, "ingest failed");
    false
}
