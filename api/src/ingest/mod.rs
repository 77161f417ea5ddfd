//! From the sessions' streams into the database. Wake-ups say where to look, and a sweep looks everywhere in case one
//! was lost. A connection is worked on by one worker at a time, several connections side by side.

mod backlog;
mod clean;
mod queue;
mod tell;
mod worker;
mod write;

pub use tell::{Told, message_status_now, room, status_now};

use std::time::Duration;

use futures::StreamExt;
use relay::{ApiRelay, ConnectionId, Endpoint, Names, Note, Offset, subscribe};
use runtime::ambient;
use runtime::health::Pulse;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::metrics;
use backlog::{Backlog, Left};
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
    let (mut queue, mut backlog) = (Queue::default(), Backlog::default());
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
                let (connection, left) = ended?;
                backlog.note(connection, left, ambient::now());
                queue.done(connection, matches!(left, Left::After(_)));
            }
            Some(note) = wakes.next() => match note {
                Note::Subscribed => queue.push_all(app.fleet().all()),
                Note::Message { channel, .. } => queue.push_all(Names::of_channel(&channel).map(|names| names.0)),
            },
            _ = sweep.tick() => {
                pulse.beat();
                backlog.retain(|connection| app.fleet().exists(connection));
                metrics::INGEST_LAG.set(backlog.lag(ambient::now()).as_secs_f64(), []);
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

/// One turn of a connection.
async fn turn(app: App, connection: ConnectionId) -> (ConnectionId, Left) {
    let left = match tokio::time::timeout(TURN, worker::drain(&app, connection)).await {
        Ok(Ok(Some(stored))) => Left::After(stored),
        Ok(Ok(None)) => Left::Nothing,
        Ok(Err(error)) => failed(&app, connection, error.cause(), &error).await,
        Err(elapsed) => failed(&app, connection, "deadline", &elapsed).await,
    };
    (connection, left)
}

/// The sweep tries again. The cursor is where the database is, so the oldest event that may not be stored is the first
/// in the stream: what is stored is trimmed.
async fn failed(
    app: &App,
    connection: ConnectionId,
    cause: &'static str,
    error: &(dyn std::fmt::Display + Sync),
) -> Left {
    metrics::INGEST_ERRORS.count([cause]);
    tracing::warn!(%connection, %error, "ingest failed");
    match app.ask_relay(async |relay| relay.events(connection, Offset::START, 1).await).await {
        Ok(entries) => entries.first().map_or(Left::Nothing, |entry| Left::Failed(Some(entry.offset))),
        Err(_) => Left::Failed(None),
    }
}
