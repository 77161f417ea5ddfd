//! The outermost layer: gives every request its id, its span and its metrics, and every problem its body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use tracing::field::Empty;

use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client or a proxy.
const LONGEST: usize = 64;

/// Wraps a request.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = method_label(&request);
    let route = route_label(&request);
    let span = tracing::info_span!("request", id, method, route, company = Empty, connection = Empty);
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, milliseconds = started.elapsed().as_millis(), "answered"));
    let labels = [("method", method.to_owned()), ("route", route.clone())];
    metrics::counter!("api_http_requests_total", "status" => status.to_string(), "method" => method, "route" => route)
        .increment(1);
    metrics::histogram!("api_http_request_seconds", &labels).record(started.elapsed().as_secs_f64());
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

/// Bounded: whatever a client calls its method.
fn method_label(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Bounded: the pattern of the route, never the path.
fn route_label(request: &Request) -> String {
    match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None if request.uri().path().starts_with("/socket.io") => "/socket.io".to_owned(),
        None => "unknown".to_owned(),
    }
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
