//! Table `audit`: who tried to change what, and how it went. Rows are only added, and go when they are old.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CrossTenantTx, StoreError, TenantTx};

/// Something that somebody tried.
#[derive(Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, as the token says.
    pub subject: Option<String>,
    /// What: method and pattern of the route.
    pub action: String,
    /// The id in the path.
    pub target: Option<Uuid>,
    /// HTTP status of the answer.
    pub status: u16,
    /// The request's id.
    pub request_id: String,
}

/// An entry as it is stored.
#[derive(Debug, sqlx::FromRow)]
pub struct AuditRow {
    /// Number, in the order of writing.
    pub id: i64,
    /// When.
    pub at: PgTimestamp,
    /// Who.
    pub subject: Option<String>,
    /// What.
    pub action: String,
    /// The id in the path.
    pub target: Option<Uuid>,
    /// HTTP status.
    pub status: i16,
    /// The request's id.
    pub request_id: String,
}

/// Where a page of entries ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditPosition {
    /// Number of its oldest entry.
    pub id: i64,
}

impl TenantTx {
    /// Adds an entry.
    pub async fn record(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit (company_id, at, subject, action, target, status, request_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&self.company)
        .bind(entry.at.to_sqlx())
        .bind(&entry.subject)
        .bind(&entry.action)
        .bind(entry.target)
        .bind(i16::try_from(entry.status).unwrap_or(0))
        .bind(&entry.request_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// The newest entries before that position, the newest first.
    pub async fn audit(&mut self, before: Option<&AuditPosition>, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, at, subject, action, target, status, request_id FROM audit \
             WHERE company_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        )
        .bind(&self.company)
        .bind(before.map(|before| before.id))
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }
}

impl CrossTenantTx {
    /// Removes entries from before that time, the oldest first, and at most so many. Gives how many.
    pub async fn forget_audit(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let gone =
            sqlx::query("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)")
                .bind(before.to_sqlx())
                .bind(i64::from(most))
                .execute(&mut *self.tx)
                .await?;
        Ok(gone.rows_affected())
    }
}
