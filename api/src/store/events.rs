//! Table `events`: every committed event for ever, in the order of its connection's stream.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use relay::{ConnectionId, Offset};
use serde_json::Value;

use super::{StoreError, TenantTx};

/// An event as it is kept.
#[derive(Debug)]
pub struct StoredEvent {
    /// Its place.
    pub offset: Offset,
    /// The place of the one before it.
    pub previous: Offset,
    /// Its kind, as in the relay.
    pub kind: &'static str,
    /// When it was written.
    pub at: Timestamp,
    /// What sockets are told.
    pub payload: Option<Value>,
}

impl TenantTx {
    /// Keeps an event. One that is there already stays as it is.
    pub async fn keep_event(&mut self, connection: ConnectionId, event: &StoredEvent) -> Result<(), StoreError> {
        let (ms, seq) = parts(event.offset);
        sqlx::query(
            "INSERT INTO events (connection_id, ms, seq, company_id, previous, kind, at, payload) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(connection.0)
        .bind(ms)
        .bind(seq)
        .bind(&self.company)
        .bind(event.previous.to_string())
        .bind(event.kind)
        .bind(event.at.to_sqlx())
        .bind(&event.payload)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

/// The two numbers of an offset as PostgreSQL has them. Redis' own are unsigned; milliseconds since 1970 and a count
/// within one of them stay far below the signed limit.
pub(super) fn parts(offset: Offset) -> (i64, i64) {
    let (milliseconds, number) = offset.parts();
    (i64::try_from(milliseconds).unwrap_or(i64::MAX), i64::try_from(number).unwrap_or(i64::MAX))
}
