//! Logs and traces. No message text, phone number, QR code or token is ever given to either.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::{otlp, trace};

/// What is logged when nothing else is asked for.
const DEFAULT_FILTER: &str = "info,kube=warn,sqlx=warn,engineioxide=warn,socketioxide=warn";

/// Whatever is asked for. chromiumoxide warns, with the whole message, of every frame that its generated protocol does not
/// know: that would be WhatsApp's traffic in our log.
const NEVER: &str = "chromiumoxide=off";

/// For the spans that were not sent yet when the process ends: one exchange with a collector that answers.
const LAST_SPANS: Duration = Duration::from_secs(2);

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

/// The telemetry of the process, to be ended with it.
#[must_use]
pub struct Telemetry(SdkTracerProvider);

/// Sets up logs and traces for the process. `RUST_LOG` overrides what is logged. Spans go to `collector`, where there is
/// one; without, they only have ids. Must be called within the runtime.
pub fn start(service: &'static str, format: LogFormat, collector: Option<&otlp::Collector>) -> Telemetry {
    let filter = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        // Colours are for terminals; in `kubectl logs` and files they are noise.
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_filter(filter).boxed()
        }
    };
    let provider = provider(service, collector);
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(trace::TARGET, tracing::Level::INFO));
    // Fails only when a test harness has set one up already.
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    Telemetry(provider)
}

/// What is asked for, where it can be read, and never [`NEVER`].
fn filter(asked: Option<&str>) -> EnvFilter {
    let with_never = |filter: &str| EnvFilter::try_new(format!("{filter},{NEVER}"));
    asked
        .filter(|asked| !asked.is_empty())
        .and_then(|asked| with_never(asked).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("{DEFAULT_FILTER},{NEVER}")))
}

fn provider(service: &'static str, collector: Option<&otlp::Collector>) -> SdkTracerProvider {
    let builder = SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(service).build());
    match collector.map(otlp::processor).transpose() {
        Ok(Some(processor)) => builder.with_span_processor(processor).build(),
        // Not recorded, but with ids.
        Ok(None) => builder.with_sampler(Sampler::AlwaysOff).build(),
        // The address was judged with the settings; what else is wrong is no reason to keep the service down.
        Err(error) => {
            tracing::error!(%error, "no spans are sent");
            builder.with_sampler(Sampler::AlwaysOff).build()
        }
    }
}

impl Telemetry {
    /// Sends the last spans.
    pub async fn finish(self) {
        // Blocks; without a collector it returns at once.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST_SPANS)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_the_page_are_never_logged() {
        for asked in [None, Some(""), Some("info"), Some("debug,chromiumoxide=trace"), Some("no=such=filter")] {
            let filter = filter(asked).to_string();
            assert!(filter.split(',').any(|directive| directive == NEVER), "{asked:?}: {filter}");
            assert!(!filter.contains("chromiumoxide=trace"), "{asked:?}: {filter}");
        }
    }
}
