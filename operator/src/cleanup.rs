//! What deleted connections leave in Redis: user and keys. Removed when a deletion is seen, and by a sweep that compares
//! Redis with the connections there are. So no finalizer is needed, and nothing of ours can block a deletion.

use relay::{ConnectionId, RelayError};

use crate::context::Context;
use crate::metrics;

/// Removes what one deleted connection left.
pub async fn after_deletion(id: ConnectionId, context: &Context) {
    context.memory.forget(&id);
    match context.relay.clone().forget(id).await {
        Ok(()) => {
            metrics::cleaned("watch");
            tracing::info!(connection = %id, "cleared from Redis after its deletion");
        }
        Err(error) => tracing::warn!(connection = %id, %error, "not cleared from Redis; the sweep tries again"),
    }
}

/// Removes what connections left whose deletion nobody saw, and marks those whose user Redis has lost: their next reconcile
/// gives it back. Whoever shares a Redis between two operators loses sessions here; `docs/decisions.md` says why that is
/// refused.
pub async fn sweep(context: &Context) -> Result<(), RelayError> {
    if !context.cluster.connections_known() {
        return Ok(());
    }
    let mut relay = context.relay.clone();
    // Redis is read before the cache: whatever is created in between is in neither, or in the cache as well.
    let (known, users) = (relay.known().await?, relay.users().await?);
    for id in known.into_iter().filter(|id| context.cluster.reference(id).is_none()) {
        relay.forget(id).await?;
        metrics::cleaned("sweep");
        tracing::info!(connection = %id, "cleared from Redis by the sweep");
    }
    let all = context.cluster.ids().into_iter();
    context.without_access.replace(all.filter(|id| !users.contains(id)).collect());
    Ok(())
}
