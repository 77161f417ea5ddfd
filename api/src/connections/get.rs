//! `GET /whatsapp/connections/{id}`

use axum::Json;
use relay::ConnectionId;

use super::view::{ConnectionView, view};
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// Get a connection
///
/// One connection with its live status.
#[utoipa::path(
    get, path = "/whatsapp/connections/{id}", operation_id = "getConnection", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 200, description = "The connection.", body = ConnectionView)),
    extensions(("x-problems" = json!(["connection_not_found"]))),
)]
pub async fn get(tenant: Tenant, PathId(id): PathId<ConnectionId>) -> Result<Json<ConnectionView>, Problem> {
    let known = tenant.connection(id)?;
    Ok(Json(view(&tenant, &known).await))
}
