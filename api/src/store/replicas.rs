//! Table `replicas`: who of us lives. By PostgreSQL's clock alone, so that no replica's own clock can kill another.

use relay::ConnectionId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Store, StoreError};

/// A running process of the API. A restarted one is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct ReplicaId(pub Uuid);

impl ReplicaId {
    /// How this replica and that connection fit: who fits best owns it. The same number in every replica.
    #[must_use]
    pub fn weight(self, connection: ConnectionId) -> u128 {
        Uuid::new_v5(&self.0, connection.0.as_bytes()).as_u128()
    }
}

impl Store {
    /// Says that the replica lives, and gives all others that said so within the last six seconds. Forgets those that
    /// did not for a minute. One that said so in the future spoke before the clock was set back: who lives says it anew within
    /// two seconds.
    pub async fn beat(&self, own: ReplicaId) -> Result<Vec<ReplicaId>, StoreError> {
        let others = sqlx::query_scalar(
            "WITH own AS (INSERT INTO replicas (id, seen_at) VALUES ($1, clock_timestamp()) \
             ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()), \
             gone AS (DELETE FROM replicas WHERE seen_at < clock_timestamp() - interval '1 min' AND id <> $1) \
             SELECT id FROM replicas WHERE id <> $1 AND \
             seen_at BETWEEN clock_timestamp() - interval '6 s' AND clock_timestamp() + interval '6 s'",
        )
        .bind(own)
        .fetch_all(&self.0)
        .await?;
        Ok(others)
    }

    /// Says that the replica ends, so that nobody waits for it.
    pub async fn leave(&self, own: ReplicaId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM replicas WHERE id = $1").bind(own).execute(&self.0).await?;
        Ok(())
    }
}
