//! The wall behind the checks in the code, asked of PostgreSQL as the API's own user: a statement that forgot its company
//! sees nothing and writes nothing. The tables are those of the catalogue, so that a new one without the wall fails.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, Connection, Error, Executor, Row};

use crate::world::World;

/// SQLSTATE of a statement that a policy refuses.
const REFUSED: &str = "42501";

/// A value for a column that must have one.
fn value(data_type: &str) -> &'static str {
    match data_type {
        "uuid" => "gen_random_uuid()",
        "text" => "'x'",
        "timestamp with time zone" => "now()",
        "boolean" => "true",
        "bytea" => "'x'::bytea",
        "bigint" | "integer" | "smallint" => "1",
        "jsonb" => "'{}'::jsonb",
        other => panic!("what is a value of type {other}? Say it here."),
    }
}

struct Table {
    name: String,
    /// An insertion of a row of the company that is its only `{}`.
    insertion: String,
}

impl Table {
    fn insertion_for(&self, company: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.insertion.replace("{}", company))
    }
}

/// The tables that hold nothing of any company. A new table is not one of them unless somebody says so here.
const OF_NOBODY: [&str; 2] = ["_sqlx_migrations", "replicas"];

/// Every table that holds something of a company.
async fn tables(superuser: &sqlx::PgPool) -> Vec<Table> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND c.relname <> ALL ($1) ORDER BY 1",
    )
    .bind(&OF_NOBODY[..])
    .fetch_all(superuser)
    .await
    .unwrap();
    let mut tables = Vec::new();
    for name in names {
        let columns = sqlx::query(
            "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = $1 \
             AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' ORDER BY 1",
        )
        .bind(&name)
        .fetch_all(superuser)
        .await
        .unwrap();
        let columns = columns.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)));
        let (columns, values): (Vec<_>, Vec<_>) = columns
            .map(|(column, data_type)| match column.as_str() {
                "company_id" => (column, "'{}'".to_owned()),
                _ => (column, value(&data_type).to_owned()),
            })
            .unzip();
        assert!(columns.contains(&"company_id".to_owned()), "{name} does not say whose its rows are");
        let insertion = format!("INSERT INTO {name} ({}) VALUES ({})", columns.join(", "), values.join(", "));
        tables.push(Table { name, insertion });
    }
    assert!(tables.len() >= 6, "the schema is not there");
    tables
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, what: &str) {
    let error = outcome.expect_err(what);
    let code = error.as_database_error().map(|error| error.downcast_ref::<PgDatabaseError>().code().to_owned());
    assert_eq!(code.as_deref(), Some(REFUSED), "{what}: {error}");
}

async fn touched(connection: &mut PgConnection, statement: String) -> u64 {
    connection.execute(AssertSqlSafe(statement)).await.unwrap().rows_affected()
}

async fn seen(connection: &mut PgConnection, table: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn the_apis_user_is_held_by_it_on_every_table() {
    let world = World::start().await;
    let mut api = PgConnection::connect(&world.database_url).await.unwrap();
    let above: bool = sqlx::query_scalar("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        .fetch_one(&mut api)
        .await
        .unwrap();
    assert!(!above, "a user whom it does not hold proves nothing");
    for Table { name, .. } in tables(&world.database).await {
        let (enabled, forced, policies): (bool, bool, i64) = sqlx::query_as(
            "SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) \
             FROM pg_class c WHERE oid = $1::regclass",
        )
        .bind(&name)
        .fetch_one(&world.database)
        .await
        .unwrap();
        // Forced: the API's user owns its tables, and owners are not held otherwise. One policy: a second one would be
        // another way in.
        assert_eq!((enabled, forced, policies), (true, true, 1), "{name}");
    }
}

#[tokio::test]
async fn whoever_names_no_company_or_another_sees_nothing_and_writes_nothing() {
    let world = World::start().await;
    let tables = tables(&world.database).await;
    let mut superuser = world.database.acquire().await.unwrap();
    // The rows need not fit together.
    superuser.execute("SET session_replication_role = replica").await.unwrap();
    for table in &tables {
        superuser.execute(table.insertion_for("acme")).await.unwrap();
    }
    let mut api = PgConnection::connect(&world.database_url).await.unwrap();
    for company in [None, Some(""), Some("globex")] {
        for table in &tables {
            let (name, what) = (&table.name, format!("{} as {company:?}", table.name));
            let mut tx = api.begin().await.unwrap();
            if let Some(company) = company {
                let set = "SELECT set_config('api.company', $1, true)";
                sqlx::query(set).bind(company).execute(&mut *tx).await.unwrap();
            }
            assert_eq!(seen(&mut tx, name).await, 0, "{what}");
            assert_eq!(touched(&mut tx, format!("UPDATE {name} SET company_id = company_id")).await, 0, "{what}");
            assert_eq!(touched(&mut tx, format!("DELETE FROM {name}")).await, 0, "{what}");
            refused(tx.execute(table.insertion_for("acme")).await, &what);
        }
    }
    for table in &tables {
        let (name, what) = (&table.name, format!("{} as its company", table.name));
        let mut tx = api.begin().await.unwrap();
        tx.execute("SET LOCAL api.company = 'acme'").await.unwrap();
        assert_eq!(seen(&mut tx, name).await, 1, "{what}");
        refused(tx.execute(AssertSqlSafe(format!("UPDATE {name} SET company_id = 'globex'"))).await, &what);
    }
    for table in &tables {
        let untouched = AssertSqlSafe(format!("SELECT count(*) FROM {} WHERE company_id = 'acme'", table.name));
        let count: i64 = sqlx::query_scalar(untouched).fetch_one(&mut *superuser).await.unwrap();
        assert_eq!(count, 1, "{}", table.name);
    }
}

#[tokio::test]
async fn a_user_above_it_is_not_taken() {
    let world = World::start_without_schema().await;
    let options = PgConnectOptions::from_str(&world.database_url).unwrap();
    let above = format!("ALTER ROLE {} BYPASSRLS", options.get_username());
    sqlx::raw_sql(AssertSqlSafe(above)).execute(&world.database).await.unwrap();
    api::migrate(&options).await.unwrap();
    harness::eventually(crate::world::SOON, "the reason", async || {
        let missing = world.health.missing();
        if missing.iter().any(|why| why.contains("row-level security")) { Ok(()) } else { Err(missing.join(", ")) }
    })
    .await;
}
