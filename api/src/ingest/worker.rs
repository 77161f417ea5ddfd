//! The work on one connection: read after the cursor, commit, then trim the stream and tell the replicas. Everything
//! after the commit may be lost without harm: trimming is done again with the next batch, and after what was not told the
//! connection is taken anew, which tells the replicas that have sockets how far they should be.

use relay::{ApiRelay, ConnectionId, Offset, RelayError};
use runtime::ambient;

use super::tell::{Committed, Step};
use super::write::{WriteError, Written, write};
use crate::app::App;
use crate::fleet::Known;
use crate::metrics;
use crate::store::{Cursor, StoreError, TenantScope};

/// Events of one transaction: large enough that its cost is spread, small enough to take well below a second.
const BATCH: usize = 200;

/// Batches of one turn. Then other connections have theirs.
const BATCHES: usize = 10;

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The batch was not committed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl IngestError {
    /// What failed, as a label.
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::Store(_) | Self::Write(WriteError::Store(_)) => "database",
            Self::Relay(_) => "redis",
            Self::Write(WriteError::Overtaken) => "overtaken",
        }
    }
}

/// Commits what the connection's stream holds, under the ownership in `held`, which is taken when there is none. It is
/// gone when somebody else took it, and while it is not known that clients were told of all that is committed, also when
/// this future is dropped in between: it is then taken again. Gives the last that was stored when there may be more. The stream of a connection that
/// the cluster does not vouch for, or that is another replica's, is left alone.
pub async fn drain(
    app: &App,
    connection: ConnectionId,
    held: &mut Option<Cursor>,
) -> Result<Option<Offset>, IngestError> {
    let Some(known) = app.fleet().connection(connection).filter(|_| app.replicas().owns(connection)) else {
        *held = None;
        return Ok(None);
    };
    let mut relay = app.relay();
    let mut cursor = match *held {
        Some(cursor) => cursor,
        None => take(app, &mut relay, &known).await?,
    };
    *held = Some(cursor);
    for _ in 0..BATCHES {
        // The fence would refuse the batch, too, but only after its work and with a lock for which the new owner waits.
        if !app.replicas().owns(connection) {
            *held = None;
            return Ok(None);
        }
        let entries = relay.events(connection, cursor.last, BATCH).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        // Whether it is committed, and told, is not known until the end of this round: what stands in the database is.
        *held = None;
        let written: Written = write(app.store(), &known, cursor, &entries, ambient::now()).await?;
        cursor = written.cursor;
        // Only what is committed, by us or by whoever had the connection before.
        if let Err(error) = relay.trim(connection, cursor.last).await {
            tracing::warn!(%connection, %error, "stream not trimmed");
        }
        let mut untold = None;
        for told in written.told {
            // One that fails keeps none of the others back.
            untold = tell(&mut relay, &known, &Committed::Told(told)).await.err().or(untold);
        }
        if let Some(error) = untold {
            return Err(error.into());
        }
        *held = Some(cursor);
    }
    Ok(Some(cursor.last))
}

/// Takes the connection from whoever has it, and says how far clients are to be told: its last owner may have ended
/// between a commit and telling of it.
async fn take(app: &App, relay: &mut ApiRelay, known: &Known) -> Result<Cursor, IngestError> {
    let mut tx = app.store().begin(&TenantScope::of_connection(known)).await?;
    let cursor = tx.take(known.id).await?;
    tx.commit().await?;
    tracing::debug!(connection = %known.id, fence = cursor.fence, "connection taken");
    metrics::CONNECTIONS_TAKEN.count([]);
    let position = Step { connection_id: known.id, offset: cursor.told, previous: cursor.told };
    tell(relay, known, &Committed::Position { position }).await?;
    Ok(cursor)
}

async fn tell(relay: &mut ApiRelay, known: &Known, committed: &Committed) -> Result<(), RelayError> {
    let outcome = match serde_json::to_string(committed) {
        Ok(payload) => relay.publish_committed(&known.company, &payload).await,
        Err(error) => Err(RelayError::from(error)),
    };
    if let Err(error) = &outcome {
        metrics::UNTOLD.count([]);
        tracing::warn!(connection = %known.id, %error, "committed, but not told");
    }
    outcome
}
