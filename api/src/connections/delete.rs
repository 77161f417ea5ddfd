//! `DELETE /whatsapp/connections/{id}`

use axum::http::StatusCode;
use relay::ConnectionId;

use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// Delete a connection
///
/// Its pod, its volume and the link to its phone go with it. Its chats and messages are removed in the background. The
/// second time it is not found.
#[utoipa::path(
    delete, path = "/whatsapp/connections/{id}", operation_id = "deleteConnection", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-problems" = json!(["connection_not_found", "conflict"]))),
)]
pub async fn delete(tenant: Tenant, PathId(id): PathId<ConnectionId>) -> Result<StatusCode, Problem> {
    let known = tenant.connection(id)?;
    tenant.delete(&known).await?;
    tracing::info!("connection deleted");
    Ok(StatusCode::NO_CONTENT)
}
