//! Table `cursors`: how far each connection's events are committed, and who may commit more. It moves in the transaction
//! that writes the rows.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use relay::{ConnectionId, Fence, Offset};
use uuid::Uuid;

use super::{StoreError, TenantTx};

/// How far, and under which ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that is committed.
    pub last: Offset,
    /// The number of this ownership. Whoever takes the connection over gets a greater one, and this is refused.
    pub fence: i64,
    /// When the phone that is linked now was first connected.
    pub linked_at: Option<Timestamp>,
    /// The last event that clients were told of.
    pub told: Offset,
    /// The greatest fence under which a session wrote.
    pub session: Fence,
}

type Row = (String, i64, Option<PgTimestamp>, String, i64);

impl TenantTx {
    /// Takes the connection: its cursor, under a fence of one's own. Whoever had it before commits nothing more.
    pub async fn take(&mut self, connection: ConnectionId) -> Result<Cursor, StoreError> {
        let (last, fence, linked_at, told, session): Row = sqlx::query_as(
            "INSERT INTO cursors (connection_id, company_id, fence) VALUES ($1, $2, 1) \
             ON CONFLICT (connection_id) DO UPDATE SET fence = cursors.fence + 1 \
             RETURNING last_id, fence, linked_at, told, session_fence",
        )
        .bind(connection.0)
        .bind(&self.company)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(Cursor {
            last: last.parse().unwrap_or(Offset::START),
            fence,
            linked_at: linked_at.map(PgTimestamp::to_jiff),
            told: told.parse().unwrap_or(Offset::START),
            session: Fence(u64::try_from(session).unwrap_or(0)),
        })
    }

    /// Keeps every other writer away until this transaction ends. False when the cursor is not this one any more, was
    /// deleted, or belongs to a later owner: then nothing may be committed.
    pub async fn hold(&mut self, connection: ConnectionId, cursor: &Cursor) -> Result<bool, StoreError> {
        let held: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM cursors WHERE company_id = $1 AND connection_id = $2 AND last_id = $3 AND fence = $4 \
             FOR UPDATE",
        )
        .bind(&self.company)
        .bind(connection.0)
        .bind(cursor.last.to_string())
        .bind(cursor.fence)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(held.is_some())
    }

    /// Moves the cursor, which this transaction holds.
    pub async fn advance(&mut self, connection: ConnectionId, to: &Cursor) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE cursors SET last_id = $3, linked_at = $4, told = $5, session_fence = $6 \
             WHERE company_id = $1 AND connection_id = $2 AND fence = $7",
        )
        .bind(&self.company)
        .bind(connection.0)
        .bind(to.last.to_string())
        .bind(to.linked_at.map(ToSqlx::to_sqlx))
        .bind(to.told.to_string())
        .bind(i64::try_from(to.session.0).unwrap_or(i64::MAX))
        .bind(to.fence)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// The last event that clients were told of, for each of the company's connections.
    pub async fn positions(&mut self) -> Result<Vec<(ConnectionId, Offset)>, StoreError> {
        let rows: Vec<(Uuid, String)> = sqlx::query_as("SELECT connection_id, told FROM cursors WHERE company_id = $1")
            .bind(&self.company)
            .fetch_all(&mut *self.tx)
            .await?;
        let position = |(id, told): (Uuid, String)| (ConnectionId(id), told.parse().unwrap_or(Offset::START));
        Ok(rows.into_iter().map(position).collect())
    }
}
