//! The control API: the phones, played over plain HTTP and JSON. Handlers only translate; what happens is in `world`.

mod accounts;
mod body;
mod chats;
mod pages;
mod problem;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::Html;
use axum::routing::{get, post};

use self::problem::Problem;
use crate::simulator::Shared;
use crate::world::Refusal;

/// Room for a text of 65,536 characters, escaped.
const BODY_LIMIT: usize = 512 * 1024;

/// WhatsApp's word for a logout that the person asked for.
pub(crate) const UNLINKED_BY_PHONE: &str = "user_initiated";

/// A person plays the phone here.
const PHONE: &str = include_str!("phone.html");

type App = State<Arc<Shared>>;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PHONE) }))
        .route("/health", get(|| async { "ok\n" }))
        .route("/page", post(pages::plan))
        .route("/pages", get(pages::list))
        .route("/scan", post(pages::scan))
        .route("/pair", post(pages::pair))
        .route("/pair/expire", post(pages::expire))
        .route("/accounts", get(accounts::list))
        .route("/accounts/{phone}/messages", post(chats::receive))
        .route("/accounts/{phone}/groups", post(chats::group))
        .route("/accounts/{phone}/acks", post(chats::acknowledge))
        .route("/accounts/{phone}/sent", get(chats::sent))
        .route("/accounts/{phone}/chats", get(chats::list))
        .route("/accounts/{phone}/chats/{chat}/messages", get(chats::messages))
        .route("/accounts/{phone}/disconnect", post(stream::disconnect))
        .route("/accounts/{phone}/reconnect", post(stream::reconnect))
        .route("/accounts/{phone}/conflict", post(stream::conflict))
        .route("/accounts/{phone}/reload", post(stream::reload))
        .route("/accounts/{phone}/sends", post(stream::sends))
        .route("/accounts/{phone}/ban", post(accounts::ban))
        .route("/accounts/{phone}/logout", post(accounts::logout))
        .fallback(no_such_call)
        .method_not_allowed_fallback(not_this_way)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

async fn no_such_call(uri: Uri) -> Problem {
    Problem::from(Refusal::NotFound(format!("no such call: {}", uri.path())))
}

async fn not_this_way(uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} has another method", uri.path()))
}
