//! The process of the pod, which is its container's init: settings, telemetry, signals, the reaper, and then the pod.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use runtime::health::Health;
use runtime::shutdown::Shutdown;
use session_pod::browser::reaper::{self, Children};
use session_pod::guard::Guard;
use session_pod::metrics;
use session_pod::pod::{self, Exit, Surroundings};
use session_pod::settings::{Arguments, Settings};
use tracing::Instrument as _;

/// For the admin server and the reaper, which end at once. The pod itself has ended before.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().judge() {
        Ok(settings) => start(settings).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the process cannot be set up");
            ExitCode::FAILURE
        }),
        Err(complaints) => complaints.report(),
    }
}

async fn start(settings: Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let telemetry = runtime::telemetry::start("whatsapp-session", settings.log, settings.collector.as_ref());
    let code = run(settings).await;
    telemetry.finish().await;
    code
}

async fn run(settings: Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let exposition = runtime::metrics::install(metrics::ALL, &metrics::READY)?;
    let shutdown = Shutdown::on_signal()?;
    let (health, children) = (Health::default(), Children::default());
    // The servers go on while the browser closes: an unanswered probe would look like a hang.
    let servers = Shutdown::default();
    servers.spawn("admin", runtime::admin::serve(settings.admin, health.clone(), exposition, servers.token()));
    if std::process::id() == 1 {
        servers.spawn("reaper", reaper::run(children.clone(), servers.token()));
    }
    let stop = shutdown.token();
    let cascade = (servers.token(), stop.clone());
    // Half a process is worse than a restart.
    tokio::spawn(async move {
        cascade.0.cancelled().await;
        cascade.1.cancel();
    });
    let span = tracing::info_span!("session", company = %settings.company, connection = %settings.connection, pod = %settings.pod_name);
    let exit =
        pod::run(settings, Surroundings { health, stop, children, guard: Guard::start()? }).instrument(span).await;
    servers.begin();
    let orderly = servers.finished(GRACE).await;
    // A server that failed ended the pod, which then ended as it was asked to; but nobody had asked.
    let exit = if exit == Exit::Stopped && !orderly { Exit::Failed } else { exit };
    Ok(exit.into())
}
