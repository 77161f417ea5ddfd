//! What concerns all companies: the sweeps. A handler has no way to come here: all it gets is a
//! [`crate::auth::Tenant`].

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use relay::ConnectionId;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::StoreError;

/// A transaction over all companies.
pub struct CrossTenantTx {
    pub(super) tx: Transaction<'static, Postgres>,
}

impl CrossTenantTx {
    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }

    /// Every connection that has history.
    pub async fn connections(&mut self) -> Result<Vec<ConnectionId>, StoreError> {
        let ids: Vec<Uuid> =
            sqlx::query_scalar("SELECT connection_id FROM cursors UNION SELECT DISTINCT connection_id FROM chats")
                .fetch_all(&mut *self.tx)
                .await?;
        Ok(ids.into_iter().map(ConnectionId).collect())
    }

    /// Removes everything that is stored of a connection. The cursor goes first: ingest that is just writing then finds
    /// none to move, and writes nothing.
    pub async fn forget(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        for statement in [
            "DELETE FROM cursors WHERE connection_id = $1",
            "DELETE FROM messages WHERE connection_id = $1",
            "DELETE FROM chats WHERE connection_id = $1",
            "DELETE FROM events WHERE connection_id = $1",
            "DELETE FROM dead_letters WHERE connection_id = $1",
        ] {
            sqlx::query(statement).bind(connection.0).execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Removes idempotency keys from before that time, the oldest first, and at most so many. Gives how many.
    pub async fn forget_keys(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let gone = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (company_id, key) IN \
             (SELECT company_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
        )
        .bind(before.to_sqlx())
        .bind(i64::from(most))
        .execute(&mut *self.tx)
        .await?;
        Ok(gone.rows_affected())
    }
}
