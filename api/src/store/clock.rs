//! The clock by which deadlines are set and judged: PostgreSQL's, which all replicas share. A replica whose own clock
//! jumps then neither gives up on a message that still runs nor sends one that is over.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as PgTimestamp;

use super::{Store, StoreError, TenantTx};

const NOW: &str = "SELECT clock_timestamp()";

impl Store {
    /// The time now.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let now: PgTimestamp = sqlx::query_scalar(NOW).fetch_one(&self.0).await?;
        Ok(now.to_jiff())
    }
}

impl TenantTx {
    /// The time now.
    pub async fn now(&mut self) -> Result<Timestamp, StoreError> {
        let now: PgTimestamp = sqlx::query_scalar(NOW).fetch_one(&mut *self.tx).await?;
        Ok(now.to_jiff())
    }
}
