//! Table `cursors`: how far each connection's events are committed. It moves in the transaction that writes the rows.

use relay::{ConnectionId, Offset};

use super::{StoreError, TenantTx};

/// How far, and under which ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that is committed.
    pub last: Offset,
    /// The fence that was current when this was read.
    pub fence: i64,
    /// Whether the session was asked for its chats since its phone was linked.
    pub chats_listed: bool,
}

impl TenantTx {
    /// The cursor of a connection; made at the start when there is none.
    pub async fn cursor(&mut self, connection: ConnectionId) -> Result<Cursor, StoreError> {
        let row: Option<(String, i64, bool)> = sqlx::query_as(
            "SELECT last_id, fence, chats_listed_at IS NOT NULL FROM cursors \
             WHERE company_id = $1 AND connection_id = $2",
        )
        .bind(&self.company)
        .bind(connection.0)
        .fetch_optional(&mut *self.tx)
        .await?;
        if let Some((last, fence, chats_listed)) = row {
            return Ok(Cursor { last: last.parse().unwrap_or(Offset::START), fence, chats_listed });
        }
        sqlx::query("INSERT INTO cursors (connection_id, company_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(connection.0)
            .bind(&self.company)
            .execute(&mut *self.tx)
            .await?;
        Ok(Cursor { last: Offset::START, fence: 0, chats_listed: false })
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

    /// Remembers that the session was asked for its chats, or that it must be asked again.
    pub async fn set_chats_listed(&mut self, connection: ConnectionId, listed: bool) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE cursors SET chats_listed_at = CASE WHEN $3 THEN now() END \
             WHERE company_id = $1 AND connection_id = $2",
        )
        .bind(&self.company)
        .bind(connection.0)
        .bind(listed)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
