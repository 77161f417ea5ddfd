//! PostgreSQL: all SQL of the API, one file per table. Nothing outside writes a query, and nothing inside knows HTTP,
//! Redis or Kubernetes. Every statement names its company, and row-level security is the wall behind that.

mod audit;
mod chats;
mod clock;
mod cross_tenant;
mod cursors;
mod dead_letters;
mod error;
mod events;
mod idempotency;
mod ids;
mod log;
mod messages;
mod moment;
mod replicas;
mod schema;
mod scope;

pub use audit::{AuditEntry, AuditPosition, AuditRow};
pub use chats::{ChatPage, ChatPosition, ChatRow, SeenChat};
pub use cross_tenant::CrossTenantTx;
pub use cursors::Cursor;
pub use error::StoreError;
pub use events::{StoredEvent, ToldEvent};
pub use idempotency::{Claim, Fingerprint};
pub use ids::{ChatKey, MessageKey};
pub use log::{LogPosition, LogRow};
pub use messages::{Acked, MessagePosition, MessageRow, Outgoing, Waiting};
pub use replicas::ReplicaId;
pub use schema::{SchemaError, migrate};
pub use scope::TenantScope;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

/// Connections of one replica, besides that of its heartbeats. PostgreSQL's default of 100 carries several replicas; what finds none free waits
/// [`ACQUIRE`] and is then refused with 503.
const CONNECTIONS: u32 = 20;

/// Longest wait for a free or new connection.
const ACQUIRE: Duration = Duration::from_secs(3);

/// Longest run of one statement. Pages and batches take milliseconds; ten seconds is a database in trouble.
const STATEMENT: &str = "10s";

/// Longest pause between two statements of a transaction. Within one nothing is waited for but PostgreSQL; whoever
/// pauses this long was stopped or cut off, and must not keep its locks from the replica that takes its work over.
const IDLE: &str = "4s";

/// The database. Gives transactions of one company, or over all of them, and nothing else.
#[derive(Clone, Debug)]
pub struct Store(PgPool);

impl Store {
    /// Connects when first used, and again whenever a connection was lost.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        Self::of(options, CONNECTIONS)
    }

    /// With a connection of its own for heartbeats and the look at the database: where requests have taken all others, a
    /// replica must not look dead, for then no one would store any company's messages.
    #[must_use]
    pub fn for_heartbeats(options: PgConnectOptions) -> Self {
        Self::of(options, 1)
    }

    fn of(options: PgConnectOptions, connections: u32) -> Self {
        let options = options
            .application_name("whatsapp-api")
            .options([("statement_timeout", STATEMENT), ("idle_in_transaction_session_timeout", IDLE)]);
        Self(PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).connect_lazy_with(options))
    }

    /// A transaction that sees one company. Rolled back unless committed.
    pub async fn begin(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let tx = self.begin_as(scope.company().as_str()).await?;
        Ok(TenantTx { tx, company: scope.company().as_str().to_owned() })
    }

    /// A transaction over all companies, for sweeps. No handler can come here: see [`crate::auth::ApiState`].
    pub async fn begin_cross_tenant(&self) -> Result<CrossTenantTx, StoreError> {
        Ok(CrossTenantTx { tx: self.begin_as("*").await? })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.0).await?;
        Ok(())
    }

    /// One round trip for both statements. The literal cannot end early: a company id has letters, digits, `-`, `_`
    /// and `.` only.
    async fn begin_as(&self, company: &str) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.0.begin_with(AssertSqlSafe(format!("BEGIN; SET LOCAL api.company = '{company}'"))).await?)
    }
}

/// A transaction of one company. Its methods stand beside their tables.
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    company: String,
}

impl TenantTx {
    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use harness::Postgres;
    use sqlx::{Executor, Row};

    use super::*;

    /// Ways in which a transaction ends.
    #[derive(Debug, Clone, Copy)]
    enum End {
        Committed,
        Dropped,
        Failed,
        Cancelled,
    }

    /// What would be lost: a request that sees the rows of whoever came before it.
    #[tokio::test]
    async fn no_company_stays_with_a_connection_of_the_pool() {
        let url = Postgres::shared().await.database().await;
        // The next statement must get the same connection.
        let pool = PgPoolOptions::new().max_connections(1);
        let store = Store(pool.connect_lazy_with(PgConnectOptions::from_str(&url).expect("a URL")));
        for end in [End::Committed, End::Dropped, End::Failed, End::Cancelled] {
            let mut tx = store.begin_as("acme").await.expect("a transaction");
            let asked = "SELECT pg_backend_pid(), COALESCE(current_setting('api.company', true), '')";
            let row = tx.fetch_one(asked).await.expect("a row");
            let (backend, company): (i32, String) = (row.get(0), row.get(1));
            assert_eq!(company, "acme");
            match end {
                End::Committed => tx.commit().await.expect("committed"),
                End::Dropped => drop(tx),
                End::Failed => {
                    tx.execute("SELECT 1 / 0").await.expect_err("refused");
                    drop(tx);
                }
                End::Cancelled => {
                    let long = tx.execute("SELECT pg_sleep(1)");
                    tokio::time::timeout(Duration::from_millis(50), long).await.expect_err("still running");
                    drop(tx);
                }
            }
            let row = store.0.fetch_one(asked).await.expect("a row");
            assert_eq!((row.get::<i32, _>(0), row.get::<String, _>(1).as_str()), (backend, ""), "{end:?}");
        }
    }
}
