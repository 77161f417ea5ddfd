//! The schema: `api migrate` brings it up to date, `api serve` waits until somebody did. Migrations only add, so that
//! the version before keeps running while the new one rolls out.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::{Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Why the schema is not what this binary needs.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its record of migrations cannot be read.
    #[error("the record of migrations: {0}")]
    Record(#[from] MigrateError),
    /// Row-level security, the wall behind the API's own checks, does not hold this user.
    #[error("the database user is a superuser or has BYPASSRLS, so that row-level security does not hold it")]
    Unheld,
    /// Nobody ran `api migrate` yet.
    #[error("migration {0} is missing: run `api migrate`")]
    Missing(i64),
}

/// Applies every migration that is missing. Two at once wait for each other (an advisory lock).
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let mut connection = connect(options).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await.map_err(StoreError::from)?;
    Ok(())
}

/// How often, and how far apart, a database that is away is asked for: half a minute, in which one that is installed at
/// the same moment comes up. Ending at once would leave it to the kubelet, which waits longer each time.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    for _ in 1..ATTEMPTS {
        match options.connect().await.map_err(StoreError::from) {
            Err(StoreError::Away(error)) => tracing::info!(%error, "the database is not there yet"),
            settled => return settled,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(options.connect().await?)
}

impl Store {
    /// Whether every migration of this binary was applied, and the user is one whom row-level security holds. Later
    /// migrations of a newer binary do no harm.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        let mut connection = self.0.acquire().await.map_err(StoreError::from)?;
        let above = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
        if sqlx::query_scalar(above).fetch_one(&mut *connection).await.map_err(StoreError::from)? {
            return Err(SchemaError::Unheld);
        }
        let table = &MIGRATIONS.table_name;
        let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(table.as_ref())
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::from)?;
        let applied = if exists { connection.list_applied_migrations(table).await? } else { Vec::new() };
        match MIGRATIONS.iter().find(|wanted| !applied.iter().any(|done| done.version == wanted.version)) {
            Some(missing) => Err(SchemaError::Missing(missing.version)),
            None => Ok(()),
        }
    }
}
