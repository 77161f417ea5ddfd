//! The parts that handlers work with, and the routes. A handler reaches rows and connections of a company through
//! [`crate::auth::Tenant`] only.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::{get, post};
use relay::{ApiRelay, RelayError};
use serde_json::json;
use socketioxide::layer::SocketIoLayer;

use crate::auth::TokenKeys;
use crate::fleet::Fleet;
use crate::problem::Problem;
use crate::store::Store;
use crate::{chats, connections, http, messages};

/// Longest wait of a request for Redis. It answers in a millisecond or is away.
const RELAY: Duration = Duration::from_secs(2);

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    store: Store,
    fleet: Fleet,
    relay: ApiRelay,
    tokens: TokenKeys,
}

impl App {
    /// Of its parts.
    #[must_use]
    pub fn new(store: Store, fleet: Fleet, relay: ApiRelay, tokens: TokenKeys) -> Self {
        Self(Arc::new(Parts { store, fleet, relay, tokens }))
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The connections.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// What verifies tokens.
    #[must_use]
    pub fn tokens(&self) -> &TokenKeys {
        &self.0.tokens
    }

    /// Redis, on a handle of the caller's own.
    #[must_use]
    pub fn relay(&self) -> ApiRelay {
        self.0.relay.clone()
    }

    /// What Redis answers, or a 503 when it does not in time.
    pub async fn ask_relay<T>(
        &self,
        call: impl AsyncFnOnce(&mut ApiRelay) -> Result<T, RelayError>,
    ) -> Result<T, Problem> {
        let mut relay = self.relay();
        match tokio::time::timeout(RELAY, call(&mut relay)).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => Err(Problem::unavailable("relay_unavailable", &elapsed)),
        }
    }
}

/// Everything that is served on the product's port.
pub fn router(app: App, sockets: SocketIoLayer, origins: &[HeaderValue]) -> Router {
    let one = get(connections::get::get).patch(connections::patch::patch).delete(connections::delete::delete);
    let routes = Router::new()
        .route("/health", get(health))
        .route("/whatsapp/connections", post(connections::create::create).get(connections::list::list))
        .route("/whatsapp/connections/{id}", one)
        .route(
            "/whatsapp/connections/{id}/connect",
            post(connections::connect::connect).delete(connections::disconnect::disconnect),
        )
        .route("/whatsapp/connections/{id}/qr", get(connections::qr::qr))
        .route("/whatsapp/connections/{id}/logout", post(connections::logout::logout))
        .route("/whatsapp/connections/{id}/messages", post(messages::first_contact::first_contact))
        .route("/whatsapp/connections/{id}/chats", get(chats::list::list))
        .route("/whatsapp/chats/{id}/messages", get(messages::list::list).post(messages::reply::reply))
        .fallback(async || Problem::not_found("route_not_found", "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            let detail = "This path does not take this method.";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .with_state(app);
    http::wrap(routes, sockets, origins)
}

/// `GET /health`: the process serves. Whether it can work is told on the admin port (`/ready`), not to the world.
async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"status": "ok"}))
}
