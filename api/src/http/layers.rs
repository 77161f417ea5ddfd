//! The layers around the routes, outermost first: id and problem bodies, CORS, security headers, panics, sockets,
//! deadline, body limit, tags. Sockets sit outside of the deadline: a long poll waits by design. HSTS is for whoever ends
//! TLS, which this does not.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use socketioxide::layer::SocketIoLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::etag::etag;
use super::observe::observe;
use crate::problem::{Code, Problem};

/// Longest work on one request. The longest wait inside is that for a QR code, 2 s, and each call to another system has
/// a deadline of its own below 10 s.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of the largest body: 65,536 characters of text at up to twelve bytes each, as JSON escapes them.
const LARGEST_BODY: usize = 1024 * 1024;

/// How long browsers remember a preflight.
const PREFLIGHT: Duration = Duration::from_hours(1);

/// Puts all layers around the routes.
pub fn wrap(routes: Router, sockets: SocketIoLayer, origins: &[HeaderValue]) -> Router {
    routes
        .layer(from_fn(etag))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(in_time))
        .layer(sockets)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::if_not_present(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(SetResponseHeaderLayer::if_not_present(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::if_not_present(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ))
        .layer(cors(origins))
        .layer(from_fn(observe))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(elapsed) => Problem::unavailable(Code::Timeout, &elapsed).into_response(),
    }
}

/// A panic is a fault of ours like any other: 500, and the next request is served.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it so")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Problem::internal(&format!("panic: {message}")).into_response()
}

fn cors(origins: &[HeaderValue]) -> CorsLayer {
    let own = |name: &'static str| HeaderName::from_static(name);
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            own("idempotency-key"),
            own("x-request-id"),
        ])
        .expose_headers([ETAG, RETRY_AFTER, own("x-request-id"), own("idempotency-replayed")])
        // No cookie is ever set; a frontend that sends credentials all the same would else be refused by its browser.
        .allow_credentials(true)
        .max_age(PREFLIGHT)
}
