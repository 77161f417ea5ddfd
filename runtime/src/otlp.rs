//! Spans to a collector, by OTLP over HTTP with protobuf. Over the HTTP client that the product has anyway: without TLS, as
//! a collector stands in the cluster, and passes on what must go further.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor};
use tokio::runtime::Handle;

/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_secs(2);

/// Spans that wait at most, about 1 kB each. Further ones are dropped: a collector that is away costs no memory.
const WAITING: usize = 2048;

/// Longest exchange with the collector.
const EXCHANGE: Duration = Duration::from_secs(5);

/// Bytes of an answer at most; a collector answers with next to nothing.
const ANSWER: usize = 64 * 1024;

/// A collector, by its base URL as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(String);

impl FromStr for Collector {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected http://host:4318";
        let uri: Uri = url.parse().map_err(|_| EXPECTED)?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(EXPECTED);
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }
}

impl Collector {
    /// The collector of a setting that may be empty.
    pub fn optional(url: &str) -> Result<Option<Self>, &'static str> {
        if url.is_empty() { Ok(None) } else { url.parse().map(Some) }
    }

    /// Its base URL, for whom this process starts.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0
    }

    fn traces(&self) -> String {
        format!("{}/v1/traces", self.0)
    }
}

/// Gathers spans and sends them, on a thread of its own. Must be made within the runtime.
pub fn processor(collector: &Collector) -> Result<BatchSpanProcessor, ExporterBuildError> {
    let client =
        RuntimeClient { client: Client::builder(TokioExecutor::new()).build_http(), runtime: Handle::current() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(collector.traces())
        .with_timeout(EXCHANGE);
    let batch = BatchConfigBuilder::default().with_scheduled_delay(GATHER).with_max_queue_size(WAITING).build();
    Ok(BatchSpanProcessor::builder(exporter.build()?).with_batch_config(batch).build())
}

/// Sends on the process' runtime, whichever thread asks.
#[derive(Debug)]
struct RuntimeClient {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let answer = client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The clock of the time-out is the runtime's: asked for on this thread it would panic.
        self.runtime.spawn(async move { tokio::time::timeout(EXCHANGE, exchange).await }).await??
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_base() {
        for url in ["http://collector:4318", "http://collector:4318/"] {
            let collector: Collector = url.parse().expect("a collector");
            assert_eq!(collector.traces(), "http://collector:4318/v1/traces");
        }
        for wrong in ["", "collector:4318", "https://collector:4318", "http://", "grpc://collector"] {
            assert!(wrong.parse::<Collector>().is_err(), "{wrong}");
        }
    }
}
