//! PostgreSQL: all SQL of the API, one file per table. Nothing outside writes a query, and nothing inside knows HTTP,
//! Redis or Kubernetes. Every statement names its company, and row-level security is the wall behind that.

mod chats;
mod cursors;
mod dead_letters;
mod error;
mod events;
mod house;
mod idempotency;
mod ids;
mod messages;
mod schema;
mod scope;

pub use chats::{ChatPage, ChatPosition, ChatRow, SeenChat};
pub use cursors::Cursor;
pub use error::StoreError;
pub use events::StoredEvent;
pub use house::HouseTx;
pub use idempotency::{Claim, Fingerprint};
pub use ids::{ChatKey, MessageKey};
pub use messages::{Acked, MessagePosition, MessageRow, Outgoing, Waiting};
pub use schema::{SchemaError, migrate};
pub use scope::TenantScope;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

/// Connections of one replica. PostgreSQL's default of 100 carries several replicas; what finds none free waits
/// [`ACQUIRE`] and is then refused with 503.
const CONNECTIONS: u32 = 20;

/// Longest wait for a free or new connection.
const ACQUIRE: Duration = Duration::from_secs(3);

/// Longest run of one statement. Pages and batches take milliseconds; ten seconds is a database in trouble.
const STATEMENT: &str = "10s";

/// The database. Gives transactions of one company, or of the house, and nothing else.
#[derive(Clone, Debug)]
pub struct Store(PgPool);

impl Store {
    /// Connects when first used, and again whenever a connection was lost.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        let options = options.application_name("whatsapp-api").options([("statement_timeout", STATEMENT)]);
        Self(PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE).connect_lazy_with(options))
    }

    /// A transaction that sees one company. Rolled back unless committed.
    pub async fn begin(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let tx = self.begin_as(scope.company().as_str()).await?;
        Ok(TenantTx { tx, company: scope.company().as_str().to_owned() })
    }

    /// A transaction over all companies, for sweeps. Nothing that answers a request may use it.
    pub async fn begin_house(&self) -> Result<HouseTx, StoreError> {
        Ok(HouseTx { tx: self.begin_as("*").await? })
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
