//! Logs and metrics. No message text, phone number, QR code or token is ever given to either.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// What is logged when nothing else is asked for. chromiumoxide warns, with the whole message, of every frame that its
/// generated protocol does not know: that would be WhatsApp's traffic in our log.
const DEFAULT_FILTER: &str = "info,chromiumoxide=off,kube=warn,sqlx=warn,engineioxide=warn,socketioxide=warn";

/// Seconds, from what a page call takes to what a start-up takes.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// For people.
    Text,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        match value {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("expected json or text"),
        }
    }
}

/// Sets up logging for the process. `RUST_LOG` overrides what is logged.
pub fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a test harness has set one up already.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        // Colours are for terminals; in `kubectl logs` and files they are noise.
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
}

/// Installs the process' metrics and gives what renders them.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()
}
