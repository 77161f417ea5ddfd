//! The outermost layer: gives every request its id, its span and its metrics, and every problem its body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use runtime::trace;
use tracing::Instrument;
use tracing::field::Empty;

use crate::metrics;
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client or a proxy.
const LONGEST: usize = 64;

/// Wraps a request.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = metrics::method(request.method().as_str());
    let pattern = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = metrics::route(pattern, request.uri().path());
    let span = tracing::info_span!(
        target: trace::TARGET, "request", id, method, route, company = Empty, connection = Empty, trace_id = Empty
    );
    trace::follow(&span, request.headers().get(trace::FIELD).and_then(|parent| parent.to_str().ok()));
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = metrics::status(response.status());
    span.in_scope(|| tracing::debug!(status, milliseconds = started.elapsed().as_millis(), "answered"));
    metrics::HTTP_REQUESTS.count([method, route, status]);
    metrics::HTTP_SECONDS.observe(started.elapsed(), [method, route]);
    finish(response, &id)
}

/// The client's id where it is harmless in a log line, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=LONGEST).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| runtime::ambient::new_id().to_string(), str::to_owned)
}

fn finish(mut response: Response, id: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // The headers of the layers within (CORS, for one) stay.
        let (mut outer, _) = response.into_parts();
        let (inner, body) = problem.render(id).into_parts();
        outer.headers.remove(CONTENT_LENGTH);
        outer.headers.extend(inner.headers);
        response = Response::from_parts(outer, body);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &'static str) -> String {
        request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(given))]))
    }

    #[test]
    fn an_id_is_taken_over_only_when_it_is_harmless() {
        assert_eq!(id_for("01J-abc.def_1"), "01J-abc.def_1");
        for strange in ["", "a b", "a\tlevel=error", "{}", &*"x".repeat(65).leak()] {
            assert_ne!(id_for(strange), strange);
        }
    }
}
