//! Table `cursors`: how far each connection's events are committed. It moves in the transaction that writes the rows.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use relay::{ConnectionId, Offset};

use super::{StoreError, TenantTx};

/// How far, and under which ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that is committed.
    pub last: Offset,
    /// The fence that was current when this was read.
    pub fence: i64,
    /// When the phone that is linked now was first connected.
    pub linked_at: Option<Timestamp>,
}

impl TenantTx {
    /// The cursor of a connection; made at the start when there is none.
    pub async fn cursor(&mut self, connection: ConnectionId) -> Result<Cursor, StoreError> {
        let row: Option<(String, i64, Option<PgTimestamp>)> = sqlx::query_as(
            "SELECT last_id, fence, linked_at FROM cursors \
             WHERE company_id = $1 AND connection_id = $2",
        )
        .bind(&self.company)
        .bind(connection.0)
        .fetch_optional(&mut *self.tx)
        .await?;
        if let Some((last, fence, linked_at)) = row {
            let linked_at = linked_at.map(PgTimestamp::to_jiff);
            return Ok(Cursor { last: last.parse().unwrap_or(Offset::START), fence, linked_at });
        }
        sqlx::query("INSERT INTO cursors (connection_id, company_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(connection.0)
            .bind(&self.company)
            .execute(&mut *self.tx)
            .await?;
        Ok(Cursor { last: Offset::START, fence: 0, linked_at: None })
    }

    /// Moves the cursor from where it was read to `last`. False when it is not there any more, was deleted, or belongs
    /// to a later owner: then nothing of this transaction may be committed.
    pub async fn advance(&mut self, connection: ConnectionId, from: &Cursor, last: Offset) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE cursors SET last_id = $3 WHERE company_id = $1 AND connection_id = $2 AND last_id = $4 AND fence = $5",
        )
        .bind(&self.company)
        .bind(connection.0)
        .bind(last.to_string())
        .bind(from.last.to_string())
        .bind(from.fence)
        .execute(&mut *self.tx)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Remembers when the phone was first connected, or that there is none.
    pub async fn set_linked_at(&mut self, connection: ConnectionId, at: Option<Timestamp>) -> Result<(), StoreError> {
        sqlx::query("UPDATE cursors SET linked_at = $3 WHERE company_id = $1 AND connection_id = $2")
            .bind(&self.company)
            .bind(connection.0)
            .bind(at.map(ToSqlx::to_sqlx))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
