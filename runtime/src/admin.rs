//! The admin server of every binary: `/live`, `/ready`, `/metrics`. Plain HTTP, for the kubelet and Prometheus only.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// Serves until `stop`.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(%address, "admin server listens");
    axum::serve(listener, router(health, metrics)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/live", get(|State((health, _)): State<Parts>| async move { verdict(&health.stopped(Instant::now())) }))
        .route("/ready", get(|State((health, _)): State<Parts>| async move { verdict(&health.missing()) }))
        .route("/metrics", get(render))
        .with_state((health, metrics))
}

type Parts = (Health, PrometheusHandle);

fn verdict(complaints: &[String]) -> Response {
    if complaints.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, complaints.join("\n") + "\n").into_response()
    }
}

async fn render(State((_, metrics)): State<Parts>) -> Response {
    metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
}
