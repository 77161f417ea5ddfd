//! A collector of traces, as OpenTelemetry's own takes them: OTLP over HTTP, protobuf. It only remembers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A span as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// Name of the program.
    pub service: String,
    /// Name of the span.
    pub name: String,
    /// The trace, as hex.
    pub trace: String,
    /// The span, as hex.
    pub id: String,
    /// The span that it belongs to, as hex; empty at the beginning of a trace.
    pub parent: String,
}

/// The collector. Ends when dropped.
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    _server: AbortOnDropHandle<()>,
}

impl Collector {
    /// Listens on a port of this machine.
    ///
    /// # Panics
    /// When there is none.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let spans: Arc<Mutex<Vec<CollectedSpan>>> = Arc::default();
        let kept = spans.clone();
        let take = move |body: Bytes| async move {
            let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend(read(request));
            StatusCode::OK
        };
        let server = tokio::spawn(async move {
            let routes = Router::new().route("/v1/traces", post(take));
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self { url, spans, _server: AbortOnDropHandle::new(server) }
    }

    /// Its base, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans of a trace that have arrived so far.
    #[must_use]
    pub fn trace(&self, trace: &str) -> Vec<CollectedSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<CollectedSpan> {
    let mut read = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let named = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = match named.and_then(|attribute| attribute.value?.value) {
            Some(Value::StringValue(name)) => name,
            _ => String::new(),
        };
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let [trace, id, parent] = [span.trace_id, span.span_id, span.parent_span_id].map(hex::encode);
            read.push(CollectedSpan { service: service.clone(), name: span.name, trace, id, parent });
        }
    }
    read
}
