//! Who of the replicas does what. Each connection has one owner, which reads its session's events; what all replicas
//! together need done once is done by the leader. Who lives stands in PostgreSQL, where the fence stands that holds when
//! two replicas see it differently for a moment.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use relay::ConnectionId;
use runtime::ambient;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::metrics;
use crate::store::{ReplicaId, Store};

/// How often a replica says that it lives. One that died is missed after at most 6 s (three beats, so that a late one
/// kills nobody) and this: its connections have another owner within 8 s.
const BEAT: Duration = Duration::from_secs(2);

/// Without an answer for this long the others take us for dead, and we own nothing. The same 6 s as in the statement.
const SILENCE: Duration = Duration::from_secs(6);

/// The replicas that live, as this one sees it. Clones share it.
#[derive(Debug, Clone)]
pub struct Replicas {
    own: ReplicaId,
    alive: Arc<watch::Sender<BTreeSet<ReplicaId>>>,
}

impl Replicas {
    /// Of a process that just began. It owns nothing before its first beat.
    #[must_use]
    pub fn new() -> Self {
        Self { own: ReplicaId(ambient::new_id()), alive: Arc::new(watch::Sender::default()) }
    }

    /// Whether the connection is this replica's.
    #[must_use]
    pub fn owns(&self, connection: ConnectionId) -> bool {
        owner(connection, &self.alive.borrow()) == Some(self.own)
    }

    /// Whether no replica is known to live, not even this one: then nobody owns anything.
    #[must_use]
    pub fn none_known(&self) -> bool {
        self.alive.borrow().is_empty()
    }

    /// Whether this replica does what needs one doer.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.owns(ConnectionId(Uuid::nil()))
    }

    /// Tells when others came or went.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<BTreeSet<ReplicaId>> {
        self.alive.subscribe()
    }

    fn see(&self, alive: BTreeSet<ReplicaId>) {
        metrics::REPLICAS_ALIVE.set_count(alive.len(), []);
        let changed = self.alive.send_if_modified(|seen| {
            let changed = *seen != alive;
            *seen = alive;
            changed
        });
        if changed {
            tracing::info!(replicas = self.alive.borrow().len(), leads = self.leads(), "other replicas, other owners");
        }
    }
}

/// Says that this replica lives, and learns of the others, until the process ends.
pub async fn beat(replicas: Replicas, store: Store, stop: CancellationToken) -> Result<(), Infallible> {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            _ = beats.tick() => {}
            () = stop.cancelled() => break,
        }
        match timeout(BEAT, store.beat(replicas.own)).await {
            Ok(Ok(others)) => {
                heard = Instant::now();
                replicas.see(others.into_iter().chain([replicas.own]).collect());
            }
            Ok(Err(error)) => tracing::debug!(%error, "heartbeat failed"),
            Err(elapsed) => tracing::debug!(error = %elapsed, "heartbeat failed"),
        }
        if heard.elapsed() > SILENCE {
            replicas.see(BTreeSet::new());
        }
    }
    replicas.see(BTreeSet::new());
    // Whoever dies without a word is missed a few seconds later all the same.
    let _ = timeout(BEAT, store.leave(replicas.own)).await;
    Ok(())
}

/// Rendezvous hashing: each replica has a weight for each connection, and the greatest wins. One that goes gives away its
/// own connections and moves no other.
fn owner(connection: ConnectionId, alive: &BTreeSet<ReplicaId>) -> Option<ReplicaId> {
    alive.iter().copied().max_by_key(|replica| replica.weight(connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(ids: impl IntoIterator<Item = u128>) -> BTreeSet<ReplicaId> {
        ids.into_iter().map(|id| ReplicaId(Uuid::from_u128(id))).collect()
    }

    fn connections() -> impl Iterator<Item = ConnectionId> {
        (1..=1000).map(|id| ConnectionId(Uuid::from_u128(id)))
    }

    #[test]
    fn each_has_its_share() {
        let alive = replicas(1..=4);
        for replica in &alive {
            let share = connections().filter(|id| owner(*id, &alive) == Some(*replica)).count();
            assert!((150..=350).contains(&share), "{share} of 1000");
        }
        assert_eq!(owner(ConnectionId(Uuid::nil()), &replicas([])), None);
    }

    #[test]
    fn who_goes_moves_only_its_own() {
        let (before, after) = (replicas(1..=4), replicas(2..=4));
        for id in connections() {
            let owned = owner(id, &before);
            if owned != Some(ReplicaId(Uuid::from_u128(1))) {
                assert_eq!(owner(id, &after), owned);
            }
        }
    }
}
