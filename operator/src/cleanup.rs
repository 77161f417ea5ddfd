//! What deleted connections leave in Redis: user and keys. Removed when a deletion is seen, and by a sweep that compares
//! Redis with the connections there are. So no finalizer is needed, and nothing of ours can block a deletion.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crds::WhatsAppConnection;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use relay::{ConnectionId, RelayError};
use runtime::health::{Health, Pulse};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::apply;
use crate::connection::error::Error;
use crate::context::Context;
use crate::metrics;
use crate::serve::SWEEP;
use crate::watch::tell_all;

/// A sweep that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Clears up after every deletion that is told.
pub async fn follow(mut deleted: mpsc::Receiver<ConnectionId>, context: Arc<Context>) {
    while let Some(id) = deleted.recv().await {
        after_deletion(id, &context).await;
    }
}

/// Clears Redis regularly, and opens the readiness gates once caches are filled and Redis has answered.
pub async fn regularly(context: Arc<Context>, health: Health) {
    let (caches, redis) = (health.gate("caches"), health.gate("redis"));
    let pulse = health.pulse("sweep", SWEEP * 3);
    let mut soon = interval(Duration::from_secs(1));
    soon.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut next_sweep, mut led, mut restarted) = (Instant::now(), false, false);
    loop {
        tokio::select! {
            _ = soon.tick() => {}
            // It may have been started anew, without the users it had.
            () = context.redis_is_back.notified() => {
                // Our own connection may not have noticed yet that it was lost. Asking makes it notice.
                let _ = context.relay.clone().users().await;
                (next_sweep, restarted) = (Instant::now(), true);
            }
        }
        pulse.beat();
        let filled = context.cluster.connections_known() && context.cluster.companies_known();
        caches.follow(&filled.then_some(()).ok_or("not filled yet"));
        let leads = context.leadership.holds();
        let begins = leads && !led;
        led = leads;
        if begins {
            context.relay.save_users();
        }
        if !filled || (Instant::now() < next_sweep && !begins) {
            continue;
        }
        // A standby only makes sure that it could.
        let outcome = if leads {
            sweep(restarted, &context, &pulse).await
        } else {
            context.relay.clone().users().await.map(drop)
        };
        redis.follow(&outcome);
        match outcome {
            Ok(()) => (next_sweep, restarted) = (Instant::now() + SWEEP, false),
            Err(error) => {
                tracing::warn!(%error, "sweep of Redis failed");
                metrics::SWEEP_ERRORS.count([]);
                next_sweep = Instant::now() + RETRY;
            }
        }
    }
}

/// Removes what one deleted connection left.
async fn after_deletion(id: ConnectionId, context: &Context) {
    context.memory.forget(&id);
    match context.relay.clone().forget(id).await {
        // The leader does it; and were it to die before, the next one's sweep.
        Err(RelayError::MayNotChange) => {}
        Ok(()) => {
            metrics::cleaned("watch");
            tracing::info!(connection = %id, "cleared from Redis after its deletion");
        }
        Err(error) => tracing::warn!(connection = %id, %error, "not cleared from Redis; the sweep tries again"),
    }
}

/// Removes what connections left whose deletion nobody saw, and marks those whose user Redis has lost, or may have: their
/// next reconcile gives it back. Whoever shares a Redis between two operators loses sessions here; `docs/decisions.md` says
/// why that is refused.
async fn sweep(redis_was_restarted: bool, context: &Context, pulse: &Pulse) -> Result<(), RelayError> {
    if !context.cluster.connections_known() {
        return Ok(());
    }
    let mut relay = context.relay.clone();
    // Redis is read before the cache: whatever is created in between is in neither, or in the cache as well.
    let (known, users) = (relay.known().await?, relay.users().await?);
    let mut left: Vec<_> = known.into_iter().filter(|id| context.cluster.reference(id).is_none()).collect();
    if !left.is_empty() {
        // A cache may be behind by as long as a broken watch takes to be noticed, and what goes here is a live session's
        // access and its events. So the API server has the last word.
        match existing(context).await {
            Ok(there) => left.retain(|id| !there.contains(id)),
            Err(error) => {
                // No fault of Redis, for which this sweep speaks. The next one asks again.
                tracing::warn!(%error, "what is left of deleted connections stays in Redis for now");
                left.clear();
            }
        }
    }
    for id in left {
        relay.forget(id).await?;
        // A slow Redis and many that went: slow is not dead.
        pulse.beat();
        metrics::cleaned("sweep");
        tracing::info!(connection = %id, "cleared from Redis by the sweep");
    }
    // Not all that are unsaved each time: whoever is in doubt is set to what its Secret holds, which somebody may have changed.
    let doubtful = relay.take_doubtful(redis_was_restarted);
    let is_lost = |id: &ConnectionId| !users.contains(id) || doubtful.contains(id);
    let lost: HashSet<_> = context.cluster.ids().into_iter().filter(is_lost).collect();
    context.without_access.replace(lost.clone());
    tell_all(&context.look_again, lost.iter().filter_map(|id| context.cluster.reference(id))).await;
    Ok(())
}

/// The connections that the API server has.
async fn existing(context: &Context) -> Result<HashSet<ConnectionId>, Error> {
    let all: Api<WhatsAppConnection> = Api::all(context.client.clone());
    let listed = apply::call("list connections", all.list_metadata(&ListParams::default())).await?;
    Ok(listed.items.iter().filter_map(|object| object.uid()?.parse().ok()).collect())
}
