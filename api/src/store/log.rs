//! The log of a connection: the steps among its events (table `events`, index `events_of_state`).

use jiff_sqlx::Timestamp;
use relay::ConnectionId;
use serde::{Deserialize, Serialize};

use super::{StoreError, TenantTx};

/// A step of a connection.
#[derive(Debug, sqlx::FromRow)]
pub struct LogRow {
    /// Its place, as two numbers.
    pub ms: i64,
    /// The second of them.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The state of the session that began.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
}

/// Where a page of the log ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogPosition {
    /// The two numbers of the last step.
    pub ms: i64,
    /// The second of them.
    pub seq: i64,
}

impl TenantTx {
    /// A page of a connection's log, the newest step first.
    pub async fn log(
        &mut self,
        connection: ConnectionId,
        before: Option<&LogPosition>,
        limit: i64,
    ) -> Result<Vec<LogRow>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT ms, seq, at, payload -> 'data' ->> 'state' AS state, payload -> 'data' ->> 'reason' AS reason \
             FROM events WHERE company_id = $1 AND connection_id = $2 AND kind = 'state' AND payload -> 'data' ? 'state' \
             AND ($3::bigint IS NULL OR (ms, seq) < ($3, $4)) ORDER BY ms DESC, seq DESC LIMIT $5",
        )
        .bind(&self.company)
        .bind(connection.0)
        .bind(before.map(|before| before.ms))
        .bind(before.map(|before| before.seq))
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }
}
