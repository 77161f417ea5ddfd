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
    let rendered = Router::new().route("/metrics", get(render)).with_state((health.clone(), metrics.clone()));
    let server = axum::serve(listener, probes(health).merge(rendered)).with_graceful_shutdown(stop.cancelled_owned());
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

fn probes(health: Health) -> Router {
    Router::new()
        .route("/live", get(|State(health): State<Health>| async move { verdict(&health.stopped(Instant::now())) }))
        .route("/ready", get(|State(health): State<Health>| async move { verdict(&health.missing()) }))
        .with_state(health)
}

fn verdict(complaints: &[String]) -> Response {
    if complaints.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, complaints.join("\n") + "\n").into_response()
    }
}

async fn render(State((health, metrics)): State<(Health, Exposition)>) -> Response {
    let text = metrics.render(health.missing().is_empty());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_probe_is_told_what_is_missing_and_what_stands_still() {
        let health = Health::default();
        let (gate, pulse) = (health.gate("redis"), health.pulse("loop", Duration::from_mins(1)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("has one");
        tokio::spawn(axum::serve(listener, probes(health)).into_future());
        let asked = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.expect("listens");
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("is asked");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("is answered");
            let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
            (head.split(' ').nth(1).expect("a status").to_owned(), body.to_owned())
        };
        let told = |status: &str, body: &str| (status.to_owned(), body.to_owned());
        assert_eq!(asked("/ready").await, told("503", "redis: not yet\n"));
        assert_eq!(asked("/live").await, told("200", "ok\n"), "who waits for Redis is not dead");
        gate.open();
        assert_eq!(asked("/ready").await, told("200", "ok\n"));
        pulse.beat_at(
            Instant::now().checked_sub(Duration::from_mins(2)).expect("a machine that has been up for longer"),
        );
        let (status, complaint) = asked("/live").await;
        assert!(status == "503" && complaint.starts_with("loop: silent for 12"), "{status} {complaint}");
        pulse.beat();
        assert_eq!(asked("/live").await, told("200", "ok\n"));
    }
}
