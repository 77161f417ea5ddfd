//! The work on one connection: read after the cursor, commit, then trim the stream and tell the replicas. Everything
//! after the commit may be lost without harm: trimming is done again with the next batch, and clients see a gap.

use relay::{ApiRelay, ConnectionId, Offset, RelayError};
use runtime::ambient;

use super::tell::Told;
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

/// Commits what the connection's stream holds. Gives the last that was stored when there may be more. The stream of a connection that the cluster
/// does not vouch for is left alone.
pub async fn drain(app: &App, connection: ConnectionId) -> Result<Option<Offset>, IngestError> {
    let Some(known) = app.fleet().connection(connection) else { return Ok(None) };
    let mut relay = app.relay();
    let mut cursor = cursor(app, &known).await?;
    for _ in 0..BATCHES {
        let entries = relay.events(connection, cursor.last, BATCH).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        let written: Written = write(app.store(), &known, cursor, &entries, ambient::now()).await?;
        cursor = written.cursor;
        if let Err(error) = relay.trim(connection, cursor.last).await {
            tracing::warn!(%connection, %error, "stream not trimmed");
        }
        for told in &written.told {
            // It is committed, so nobody tells it again. One that fails keeps none of the others back.
            if let Err(error) = tell(&mut relay, &known, told).await {
                metrics::UNTOLD.count([]);
                tracing::warn!(%connection, %error, "committed, but not told");
            }
        }
    }
    Ok(Some(cursor.last))
}

async fn tell(relay: &mut ApiRelay, known: &Known, told: &Told) -> Result<(), RelayError> {
    let payload = serde_json::to_string(told)?;
    relay.publish_committed(&known.company, &payload).await
}

async fn cursor(app: &App, known: &Known) -> Result<Cursor, StoreError> {
    let mut tx = app.store().begin(&TenantScope::of_connection(known)).await?;
    let cursor = tx.cursor(known.id).await?;
    tx.commit().await?;
    Ok(cursor)
}
