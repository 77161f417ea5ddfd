//! The admin server of every binary: `/live`, `/ready`, `/metrics`. Plain HTTP, for the kubelet and Prometheus only.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::metrics::Exposition;

/// How often observations are sorted into their buckets when nobody looks: at 1,000 a second 240 kB wait meanwhile.
const TIDY: Duration = Duration::from_secs(10);

/// Serves until `stop`.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Exposition,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(%address, "admin server listens");
    let server = axum::serve(listener, router(health, metrics.clone())).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        ended = server.into_future() => ended,
        () = tidy(&metrics) => Ok(()),
    }
}

async fn tidy(metrics: &Exposition) {
    let mut ticks = tokio::time::interval(TIDY);
    loop {
        ticks.tick().await;
        metrics.tidy();
    }
}

fn router(health: Health, metrics: Exposition) -> Router {
    Router::new()
        .route("/live", get(|State((health, _)): State<Parts>| async move { verdict(&health.stopped(Instant::now())) }))
        .route("/ready", get(|State((health, _)): State<Parts>| async move { verdict(&health.missing()) }))
        .route("/metrics", get(render))
        .with_state((health, metrics))
}

type Parts = (Health, Exposition);

fn verdict(complaints: &[String]) -> Response {
    if complaints.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, complaints.join("\n") + "\n").into_response()
    }
}

async fn render(State((health, metrics)): State<Parts>) -> Response {
    let text = metrics.render(health.missing().is_empty());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
