//! The routes: which path and method is whose. Each is in the description, too (`openapi`), because both are made here from
//! the handlers' own attributes.

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::from_fn_with_state;
use serde_json::{Value, json};
use socketioxide::layer::SocketIoLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, ApiState, AuditLog};
use crate::problem::{Code, Problem};
use crate::{audit, chats, connections, http, messages, openapi};

fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(health))
        .routes(routes!(openapi::describe))
        .routes(routes!(audit::list::list))
        .routes(routes!(connections::create::create, connections::list::list))
        .routes(routes!(connections::get::get, connections::patch::patch, connections::delete::delete))
        .routes(routes!(connections::connect::connect, connections::disconnect::disconnect))
        .routes(routes!(connections::qr::qr))
        .routes(routes!(connections::log::log))
        .routes(routes!(connections::logout::logout))
        .routes(routes!(messages::first_contact::first_contact))
        .routes(routes!(chats::list::list))
        .routes(routes!(messages::list::list, messages::reply::reply))
}

/// Everything that is served on the product's port.
pub fn router(state: ApiState, log: AuditLog, sockets: SocketIoLayer, origins: &[HeaderValue]) -> Router {
    let (routes, _) = routes().split_for_parts();
    let routes = routes
        .route_layer(from_fn_with_state(log, auth::audit))
        .fallback(async || Problem::new(Code::RouteNotFound, "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "This path does not take this method.")
        })
        .with_state(state);
    http::wrap(routes, sockets, origins)
}

/// The description of the routes, `OpenAPI` 3.1.
pub fn description() -> Result<Value, serde_json::Error> {
    let (_, routes) = routes().split_for_parts();
    openapi::finish(&routes)
}

/// Is the process there?
///
/// Whether it can work is told on the admin port (`/ready`), not to the world.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service", security(()),
    responses((status = 200, description = "It serves.", body = Object)),
)]
pub async fn health() -> axum::Json<Value> {
    axum::Json(json!({"status": "ok"}))
}
