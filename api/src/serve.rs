//! Starts everything in order and stops it in order. The only place that knows all the parts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use kube::Client;
use relay::{ApiRelay, RelayError};
use runtime::health::{Gate, Health};
use runtime::shutdown::Shutdown;
use runtime::{admin, telemetry};
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::{ApiState, AuditLog};
use crate::fleet::{self, Fleet, follow};
use crate::http::Lines;
use crate::realtime::{self, Audience, Listening, Lobby, Transports, Upgraded};
use crate::replicas::{self, Replicas};
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
    let shutdown = match Shutdown::on_signal_after(settings.drain) {
        Ok(shutdown) => shutdown,
        Err(error) => return failed(&error),
    };
    let exposition = match runtime::metrics::install(metrics::ALL, &metrics::READY) {
        Ok(exposition) => exposition,
        Err(error) => return failed(&error),
    };
    let client = match fleet::client().await {
        Ok(client) => client,
        Err(error) => return failed(&error),
    };
    let health = Health::default();
    // Closed until all other gates are there: before that nothing else would keep the process from being called ready.
    let serving = health.gate("serving");
    let admin = admin::serve(settings.admin_address, health.clone(), exposition, shutdown.token());
    shutdown.spawn("admin server", admin);
    match start(settings, client, &health, &shutdown).await {
        Ok(address) => tracing::info!(%address, "API listens"),
        Err(error) => return failed(&error),
    }
    shutdown.spawn("readiness", drain(serving, shutdown.draining(), shutdown.token()));
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

/// Ready from the start as far as this goes, and not any more from the signal on: whoever sends requests stops before the
/// listener does.
async fn drain(gate: Gate, draining: CancellationToken, stop: CancellationToken) -> Result<(), Infallible> {
    gate.open();
    draining.cancelled().await;
    gate.close("draining");
    stop.cancelled().await;
    Ok(())
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
    let heartbeats = Store::for_heartbeats(settings.database.clone());
    let store = Store::new(settings.database);
    let fleet = Fleet::new(client);
    let relay = ApiRelay::new(settings.redis.connect()?);
    let replicas = Replicas::new();
    let app = App::new(store.clone(), fleet.clone(), relay, replicas.clone());
    let (audience, (listening, wishes)) = (Audience::default(), Listening::new());
    let (layer, io) = realtime::sockets(Lobby {
        tokens: settings.tokens.clone(),
        origins: settings.origins.as_slice().into(),
        app: app.clone(),
        audience: audience.clone(),
        listening,
    });

    let listen = |error| StartError::Listen(settings.address, error);
    let listener = TcpListener::bind(settings.address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let state = ApiState::new(app.clone(), settings.tokens, settings.limits);
    let routes = router(state, AuditLog::new(app.clone()), layer, &settings.origins);
    let upgraded = Upgraded::default();
    let transports = Transports::new(routes.clone(), upgraded.clone());
    let routes = routes
        .layer(from_fn_with_state(upgraded.clone(), realtime::remember))
        .layer(from_fn_with_state(shutdown.draining(), part));
    shutdown.spawn("server", http::serve(Lines::new(listener), routes, http::HEAD, shutdown.token()));

    follow(&fleet, health, shutdown);
    shutdown.spawn("sockets", realtime::expire(io, upgraded, shutdown.token()));
    let hub = realtime::run(app.clone(), audience, transports, wishes, settings.redis.clone(), shutdown.token());
    shutdown.spawn("hub", hub);
    shutdown.spawn("database", probe(heartbeats.clone(), health.gate("database"), shutdown.token()));

    let (gate, pulse, tasks) =
        (health.gate("schema"), health.pulse("ingest", ingest::SWEEP_AT_LEAST), shutdown.clone());
    shutdown.spawn("history", async move {
        let stop = tasks.token();
        if wait_for_schema(&store, &gate, &stop).await {
            tasks.spawn("heartbeat", replicas::beat(replicas, heartbeats, stop.clone()));
            tasks.spawn("outbox", messages::outbox::sweep(app.clone(), stop.clone()));
            tasks.spawn("removal of history", history::sweep(app.clone(), stop.clone()));
            tasks.spawn("ingest", ingest::run(app, settings.redis, pulse, stop.clone()));
        }
        stop.cancelled().await;
        Ok::<(), Infallible>(())
    });
    Ok(address)
}

/// While the process drains every answer says that it is the last one on its connection: proxies and clients then use
/// another, to a replica that stays, before this one closes it on them.
async fn part(State(draining): State<CancellationToken>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if draining.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
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
