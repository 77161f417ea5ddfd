//! One API with everything behind it, and companies in it.

use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use api::serve::start;
use api::settings::Settings;
use api::{Limits, TokenKeys};
use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::{ControlPlane, Postgres, Redis, eventually};
use jsonwebtoken::{EncodingKey, Header, encode};
use kube::api::ListParams;
use kube::{Api, Client, CustomResourceExt};
use relay::{ConnectionId, Endpoint};
use runtime::ambient;
use runtime::health::Health;
use runtime::shutdown::Shutdown;
use runtime::telemetry::LogFormat;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::http::Caller;
use crate::session::Session;
use crate::socket::Socket;

pub const SECRET: &str = "the secret of a component test, 32+ bytes";
pub const FRONTEND: &str = "http://crm.example.org";
pub const SOON: Duration = Duration::from_secs(20);

pub struct World {
    pub redis: Redis,
    pub cluster: Client,
    /// As the superuser, who sees all rows.
    pub database: PgPool,
    /// As the API sees it.
    pub database_url: String,
    pub base: String,
    pub health: Health,
    shutdown: Shutdown,
}

/// A company with its namespace and a caller of it.
pub struct Company {
    pub id: String,
    pub namespace: String,
    pub caller: Caller,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl World {
    pub async fn start() -> Self {
        let world = Self::without_api().await;
        world.with_api(|_| {}).await
    }

    /// Everything that an API needs, and none. The schema is there.
    pub async fn without_api() -> Self {
        let world = Self::without_schema().await;
        api::migrate(&PgConnectOptions::from_str(&world.database_url).unwrap()).await.unwrap();
        world
    }

    pub async fn start_without_schema() -> Self {
        Self::without_schema().await.begin(|_| {}).await
    }

    /// With an API of this process that is ready, and differs in some settings.
    pub async fn with_api(self, change: impl FnOnce(&mut Settings)) -> Self {
        let world = self.begin(change).await;
        ready(&world.health).await;
        world
    }

    async fn without_schema() -> Self {
        let (database, database_url) = database(Postgres::shared().await).await;
        Self::on(database, database_url).await
    }

    /// On that server of PostgreSQL, and with no API.
    pub async fn on_postgres(postgres: &Postgres) -> Self {
        let (database, database_url) = database(postgres).await;
        api::migrate(&PgConnectOptions::from_str(&database_url).unwrap()).await.unwrap();
        Self::on(database, database_url).await
    }

    async fn on(database: PgPool, database_url: String) -> Self {
        let control_plane = ControlPlane::shared().await;
        let cluster = control_plane.client().await;
        control_plane.install(&cluster, &WhatsAppConnection::crd()).await;
        let (redis, health, shutdown) = (Redis::start().await, Health::default(), Shutdown::default());
        Self { redis, cluster, database, database_url, base: String::new(), health, shutdown }
    }

    async fn begin(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&self.database_url, &self.redis);
        change(&mut settings);
        let address = start(settings, self.cluster.clone(), &self.health, &self.shutdown).await.unwrap();
        self.base = format!("http://{address}");
        self
    }

    /// One more API on the same database and the same Redis. It ends with this world.
    pub async fn start_replica(&self) {
        let health = Health::default();
        let settings = settings(&self.database_url, &self.redis);
        start(settings, self.cluster.clone(), &health, &self.shutdown).await.unwrap();
        ready(&health).await;
    }

    /// A company that no other test has.
    pub async fn company(&self) -> Company {
        let id = format!("company-{}", ambient::new_id());
        let labels = [(COMPANY_LABEL, id.as_str())];
        let namespace = ControlPlane::shared().await.namespace(&self.cluster, labels).await;
        let company = self.company_without_namespace(id, namespace);
        // The API hears of the namespace a moment later.
        eventually(SOON, "the company to be known", async || {
            let answer = company.caller.post("/whatsapp/connections", json!({"name": "probe"})).await;
            match answer.status.as_u16() {
                201 => Ok(company.caller.delete(&path(&answer.json(201))).await),
                _ => Err(answer.text()),
            }
        })
        .await;
        company
    }

    pub fn company_without_namespace(&self, id: String, namespace: String) -> Company {
        let caller = self.caller(Some(token(&id, 3600)));
        Company { id, namespace, caller }
    }

    pub fn caller(&self, token: Option<String>) -> Caller {
        Caller::new(&self.base, token)
    }

    /// A socket in its company's room.
    pub async fn socket(&self, company: &Company) -> Socket {
        let mut socket = Socket::connect(&self.base, json!({"token": token(&company.id, 3600)})).await.unwrap();
        assert_eq!(socket.join(&company.id).await["joined"], true);
        socket
    }

    /// A session that speaks for the connection from now on.
    pub async fn session(&self, connection: ConnectionId) -> Session {
        Session::start(&Endpoint::new(&self.redis.url(), None).unwrap(), connection).await
    }

    /// A running connection with a session that says it is connected.
    pub async fn connected(&self, company: &Company) -> (ConnectionId, Session) {
        let id = company.create("Sales").await;
        let mut session = self.session(id).await;
        session.connected().await;
        company.caller.post(&format!("/whatsapp/connections/{id}/connect"), Value::Null).await.json(202);
        (id, session)
    }

    pub fn resources(&self, company: &Company) -> Api<WhatsAppConnection> {
        Api::namespaced(self.cluster.clone(), &company.namespace)
    }

    /// The custom resource of a connection.
    pub async fn resource(&self, company: &Company, id: ConnectionId) -> WhatsAppConnection {
        let all = self.resources(company).list(&ListParams::default()).await.unwrap();
        let uid = id.to_string();
        all.into_iter().find(|resource| resource.metadata.uid.as_deref() == Some(&uid)).unwrap()
    }

    pub async fn count(&self, table: &str, connection: ConnectionId) -> i64 {
        let query = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE connection_id = $1"));
        sqlx::query_scalar(query).bind(connection.0).fetch_one(&self.database).await.unwrap()
    }
}

impl Company {
    pub async fn create(&self, name: &str) -> ConnectionId {
        let created = self.caller.post("/whatsapp/connections", json!({"name": name})).await.json(201);
        created["id"].as_str().unwrap().parse().unwrap()
    }

    /// The only chat of the connection, once it is there.
    pub async fn only_chat(&self, connection: ConnectionId) -> Value {
        eventually(SOON, "one chat", async || {
            let page = self.caller.get(&format!("/whatsapp/connections/{connection}/chats")).await.json(200);
            match page["items"].as_array().unwrap().as_slice() {
                [chat] => Ok(chat.clone()),
                _ => Err(page),
            }
        })
        .await
    }
}

pub fn path(connection: &Value) -> String {
    format!("/whatsapp/connections/{}", connection["id"].as_str().unwrap())
}

pub fn token(company: &str, seconds: i64) -> String {
    let exp = ambient::now().as_second() + seconds;
    sign(SECRET, &json!({"sub": "ana", "companyId": company, "role": "agent", "exp": exp}))
}

pub fn sign(secret: &str, claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn settings(database_url: &str, redis: &Redis) -> Settings {
    Settings {
        database: PgConnectOptions::from_str(database_url).unwrap(),
        redis: Endpoint::new(&redis.url(), None).unwrap(),
        tokens: TokenKeys::new(SECRET),
        // More than any test asks for.
        limits: Limits::new(NonZeroU16::MAX),
        origins: vec![FRONTEND.parse().unwrap()],
        address: "127.0.0.1:0".parse().unwrap(),
        admin_address: "127.0.0.1:0".parse().unwrap(),
        drain: Duration::ZERO,
        log_format: LogFormat::Text,
        collector: None,
    }
}

async fn ready(health: &Health) {
    eventually(SOON, "the API to be ready", async || match health.missing() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(missing.join(", ")),
    })
    .await;
}

/// A new database whose owner is no superuser, as in production: a superuser is not held by row-level security.
async fn database(postgres: &Postgres) -> (PgPool, String) {
    let superuser = postgres.database().await;
    let options = PgConnectOptions::from_str(&superuser).unwrap();
    let (name, host, port) = (options.get_database().unwrap(), options.get_host(), options.get_port());
    let pool = PgPoolOptions::new().max_connections(2).connect(&superuser).await.unwrap();
    let statements = format!("CREATE ROLE api_{name} LOGIN; ALTER DATABASE {name} OWNER TO api_{name}");
    for statement in statements.split(';') {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    (pool, format!("postgres://api_{name}@{host}:{port}/{name}"))
}
