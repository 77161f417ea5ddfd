//! What a browser gets: the page, its scripts, and the WebSocket. The scripts are files of `page/`, embedded.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::link;
use crate::simulator::Shared;

/// What a page may say at once: a long text, and the words around it.
const LONGEST_MESSAGE: usize = 512 * 1024;

/// As in the real page, scripts come from the page's own server only: an injection that needs an inline script or
/// another origin must fail here as it fails there.
const SECURITY_POLICY: &str = "script-src 'self'; object-src 'none'; base-uri 'none'";

macro_rules! scripts {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../page/", $name)))),*]
    };
}

const INDEX: &str = include_str!("../page/index.html");
const SCRIPTS: [(&str, &str); 18] = scripts![
    "actions.js",
    "boot.js",
    "connection.js",
    "constants.js",
    "contacts.js",
    "database.js",
    "ids.js",
    "keys.js",
    "link.js",
    "linking.js",
    "loader.js",
    "media.js",
    "models.js",
    "receipts.js",
    "screen.js",
    "session.js",
    "stores.js",
    "stubs.js",
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/simulator/{script}", get(script))
        .route("/ws", get(socket))
        .with_state(shared)
}

/// Where the plan stands in the page.
const PLAN: &str = "%PLAN%";

async fn index(State(shared): State<Arc<Shared>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
    ];
    let plan = shared.world().plan().attribute();
    (headers, INDEX.replace(PLAN, &plan)).into_response()
}

async fn script(Path(name): Path<String>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    match SCRIPTS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => (headers, *text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn socket(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| link::serve(socket, shared))
}
