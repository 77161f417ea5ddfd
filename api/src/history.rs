//! Removal of what deleted connections leave in the database. The history of a connection lives as long as its custom
//! resource: with that it is deleted for good, in the background, seconds after the deletion was seen, or by the sweep
//! when nobody saw it. One replica does it for all. What looks deleted is asked of the API server itself before anything is
//! removed: a watch that just began shows nothing yet. An API that is pointed at another cluster with the same database
//! would delete all.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::fleet::{Change, ClusterError};
use crate::store::StoreError;

/// How often it looks, whatever the watch says.
const SWEEP: Duration = Duration::from_mins(1);

/// How long after a deletion: several at once, such as of a whole company, are removed together.
const SOON: Duration = Duration::from_secs(1);

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Sweeps until the process ends.
pub async fn sweep(app: App, stop: CancellationToken) -> Result<(), RecvError> {
    let mut changes = app.fleet().changes();
    let mut next = Instant::now() + SWEEP;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep_until(next) => {
                next = Instant::now() + SWEEP;
                if app.replicas().leads()
                    && let Err(error) = once(&app).await
                {
                    tracing::warn!(%error, "history sweep failed");
                }
            }
            change = changes.recv() => match change {
                Ok(Change::Deleted(_)) => next = next.min(Instant::now() + SOON),
                Ok(Change::Wanted(_)) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(RecvError::Closed),
            },
        }
    }
}

async fn once(app: &App) -> Result<(), SweepError> {
    let mut tx = app.store().begin_cross_tenant().await?;
    let mut gone = tx.connections().await?;
    drop(tx);
    gone.retain(|id| !app.fleet().exists(*id));
    if gone.is_empty() {
        return Ok(());
    }
    let existing: BTreeSet<_> = app.fleet().list().await?.into_iter().collect();
    for connection in gone.into_iter().filter(|id| !existing.contains(id)) {
        let mut tx = app.store().begin_cross_tenant().await?;
        tx.forget(connection).await?;
        tx.commit().await?;
        tracing::info!(%connection, "history of a deleted connection removed");
    }
    Ok(())
}
