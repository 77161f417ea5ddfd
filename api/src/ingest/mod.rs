//! From the sessions' streams into the database. Wake-ups say where to look, and a sweep looks everywhere in case one
//! was lost. A connection is worked on by its owner among the replicas, and there by one worker at a time; several
//! connections side by side.

mod backlog;
mod clean;
mod fit;
mod queue;
mod tell;
mod worker;
mod write;

pub use fit::Unfit;
pub use tell::{Committed, Step, Told, message_status_now, status_now};

use std::collections::HashMap;
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
use crate::store::Cursor;
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

/// Reads the streams of this replica's connections until the process ends. Fails only when a worker panics, which none
/// may.
pub async fn run(app: App, redis: Endpoint, pulse: Pulse, stop: CancellationToken) -> Result<(), JoinError> {
    let mut wakes = subscribe(redis, vec![ApiRelay::WAKE_EVENTS.to_owned()]);
    let mut replicas = app.replicas().changes();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut queue, mut backlog) = (Queue::default(), Backlog::default());
    // The connections that are ours by the database, with how far they are. Those that a worker has are with it.
    let mut held: HashMap<ConnectionId, Cursor> = HashMap::new();
    let mut workers = JoinSet::new();
    let owned = || app.fleet().all().into_iter().filter(|id| app.replicas().owns(*id));
    loop {
        while workers.len() < WORKERS
            && let Some(connection) = queue.next()
        {
            workers.spawn(turn(app.clone(), connection, held.remove(&connection)));
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = workers.join_next() => {
                let ended = ended?;
                held.extend(ended.cursor.map(|cursor| (ended.connection, cursor)));
                backlog.note(ended.connection, ended.left, ambient::now());
                queue.done(ended.connection, matches!(ended.left, Left::After(_)));
            }
            Some(note) = wakes.next() => match note {
                Note::Subscribed => queue.push_all(owned()),
                Note::Message { channel, .. } => {
                    let woken = Names::of_channel(&channel).map(|names| names.0);
                    queue.push_all(woken.filter(|id| app.replicas().owns(*id)));
                }
                Note::Joined(_) => {}
            },
            Ok(()) = replicas.changed() => {
                held.retain(|id, _| app.replicas().owns(*id));
                queue.push_all(owned());
            }
            _ = sweep.tick() => {
                pulse.beat();
                held.retain(|id, _| app.fleet().exists(*id));
                // What another replica owns is its lag, not ours. Without the database nobody owns anything.
                let nobody = app.replicas().none_known();
                backlog.stands_still(nobody, ambient::now());
                backlog.retain(|id| app.fleet().exists(id) && (nobody || app.replicas().owns(id)));
                metrics::INGEST_LAG.set(backlog.lag(ambient::now()).as_secs_f64(), []);
                metrics::CONNECTIONS_OWNED.set_count(owned().count(), []);
                queue.push_all(owned());
            }
        }
    }
    // A worker that has begun ends its batch: what it committed is then trimmed and told.
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    Ok(())
}

/// How a connection's turn ended.
struct Turn {
    connection: ConnectionId,
    /// Our ownership, unless somebody else took it.
    cursor: Option<Cursor>,
    left: Left,
}

async fn turn(app: App, connection: ConnectionId, mut held: Option<Cursor>) -> Turn {
    // What is dropped at the time-out may have been committed and not told: then nothing is held, and the connection is
    // taken anew.
    let left = match tokio::time::timeout(TURN, worker::drain(&app, connection, &mut held)).await {
        Ok(Ok(Some(stored))) => Left::After(stored),
        Ok(Ok(None)) => Left::Nothing,
        Ok(Err(error)) => failed(&app, connection, error.cause(), &error).await,
        Err(elapsed) => failed(&app, connection, "deadline", &elapsed).await,
    };
    Turn { connection, cursor: held, left }
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
