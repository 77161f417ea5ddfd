//! `DELETE /whatsapp/connections/{id}/connect`

use axum::Json;
use axum::http::StatusCode;
use relay::ConnectionId;
use serde_json::json;

use super::view::{ConnectionView, view};
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// Take a connection offline
///
/// The link to its phone is kept: connecting again needs no code. Doing it again changes nothing.
#[utoipa::path(
    delete, path = "/whatsapp/connections/{id}/connect", operation_id = "disconnect", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 202, description = "The connection, suspended.", body = ConnectionView)),
    extensions(("x-problems" = json!(["connection_not_found", "conflict"]))),
)]
pub async fn disconnect(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<ConnectionView>), Problem> {
    let mut known = tenant.connection(id)?;
    if known.wanted() {
        known = tenant.change(&known, json!({"state": "Suspended"})).await?;
        tracing::info!("connection suspended");
    }
    Ok((StatusCode::ACCEPTED, Json(view(&tenant, &known).await)))
}
