//! Starts everything in order and stops it in order. The only place that knows all the parts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::serve::ListenerExt;
use kube::Client;
use relay::{ApiRelay, RelayError};
use runtime::health::{Gate, Health};
use runtime::shutdown::Shutdown;
use runtime::{admin, telemetry};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::{ApiState, AuditLog};
use crate::fleet::{Fleet, follow};
use crate::realtime::{hub, socketio};
use crate::routes::router;
use crate::settings::{MigrateSettings, Settings};
use crate::store::{Store, migrate};
use crate::{history, http, ingest, messages, metrics};

/// How often the database is asked whether it is there.
const PROBE: Duration = Duration::from_secs(2);

/// How long requests and tasks may take to end: longer than the longest request.
const GRACE: Duration = Duration::from_secs(25);

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or may not be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Redis' address cannot be used.
    #[error("redis: {0}")]
    Relay(#[from] RelayError),
}

/// Serves until told to stop.
pub async fn run(settings: Settings) -> ExitCode {
    let telemetry = telemetry::start("whatsapp-api", settings.log_format, settings.collector.as_ref());
    let code = run_until_told(settings).await;
    telemetry.finish().await;
    code
}

async fn run_until_told(settings: Settings) -> ExitCode {
    let shutdown = match Shutdown::on_signal() {
        Ok(shutdown) => shutdown,
        Err(error) => return failed(&error),
    };
    let exposition = match runtime::metrics::install(metrics::ALL, &metrics::READY) {
        Ok(exposition) => exposition,
        Err(error) => return failed(&error),
    };
    let client = match Client::try_default().await {
        Ok(client) => client,
        Err(error) => return failed(&error),
    };
    let health = Health::default();
    let admin = admin::serve(settings.admin_address, health.clone(), exposition, shutdown.token());
    shutdown.spawn("admin server", admin);
    match start(settings, client, &health, &shutdown).await {
        Ok(address) => tracing::info!(%address, "API listens"),
        Err(error) => return failed(&error),
    }
    if shutdown.finished(GRACE).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Brings the database's schema up to date.
pub async fn run_migrations(settings: MigrateSettings) -> ExitCode {
    let _telemetry = telemetry::start("whatsapp-api", settings.log_format, None);
    match migrate(&settings.database).await {
        Ok(()) => {
            tracing::info!("the schema is up to date");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!(%error, "cannot go on");
    ExitCode::FAILURE
}

/// Starts all parts and gives the address where it serves. The port opens at once; what needs the database begins when
/// its schema is there, and until then the process is not ready.
pub async fn start(
    settings: Settings,
    client: Client,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<SocketAddr, StartError> {
    let store = Store::new(settings.database);
    let fleet = Fleet::new(client);
    let relay = ApiRelay::new(settings.redis.connect()?);
    let app = App::new(store.clone(), fleet.clone(), relay);
    let (layer, io) = socketio::sockets(settings.tokens.clone(), &settings.origins);

    let listen = |error| StartError::Listen(settings.address, error);
    let listener = TcpListener::bind(settings.address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let state = ApiState::new(app.clone(), settings.tokens, settings.limits);
    let routes = router(state, AuditLog::new(app.clone()), layer, &settings.origins);
    shutdown.spawn("server", http::serve(listener.tap_io(no_delay), routes, http::HEAD, shutdown.token()));

    follow(&fleet, health, shutdown);
    shutdown.spawn("sockets", socketio::expire(io.clone(), shutdown.token()));
    shutdown.spawn("hub", hub::run(app.clone(), io, settings.redis.clone(), shutdown.token()));
    shutdown.spawn("database", probe(store.clone(), health.gate("database"), shutdown.token()));

    let (gate, pulse, tasks) =
        (health.gate("schema"), health.pulse("ingest", ingest::SWEEP_AT_LEAST), shutdown.clone());
    shutdown.spawn("history", async move {
        let stop = tasks.token();
        if wait_for_schema(&store, &gate, &stop).await {
            tasks.spawn("outbox", messages::outbox::sweep(app.clone(), stop.clone()));
            tasks.spawn("removal of history", history::sweep(app.clone(), stop.clone()));
            tasks.spawn("ingest", ingest::run(app, settings.redis, pulse, stop.clone()));
        }
        stop.cancelled().await;
        Ok::<(), Infallible>(())
    });
    Ok(address)
}

/// Without it small answers wait for the client's delayed acknowledgement: up to 40 ms each.
fn no_delay(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// True once the schema is there, false when the process ends before.
async fn wait_for_schema(store: &Store, gate: &Gate, stop: &CancellationToken) -> bool {
    let mut look = interval(PROBE);
    let mut told = false;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = stop.cancelled() => return false,
        }
        let outcome = store.check_schema().await;
        gate.follow(&outcome);
        match outcome {
            Ok(()) => return true,
            Err(error) if !told => {
                tracing::info!(%error, "waiting for the schema");
                told = true;
            }
            Err(_) => {}
        }
    }
}

/// Without its database the API can do nothing: then it is not ready.
async fn probe(store: Store, gate: Gate, stop: CancellationToken) -> Result<(), Infallible> {
    let mut look = interval(PROBE);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        gate.follow(&store.ping().await);
    }
}
