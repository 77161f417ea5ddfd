//! `DELETE /whatsapp/connections/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use relay::ConnectionId;

use crate::app::App;
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// Deletes a connection with its pod, its volume and the link to its phone. Its chats and messages are removed in the
/// background. Answers 204. 404 `connection_not_found`, also the second time.
pub async fn delete(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
) -> Result<StatusCode, Problem> {
    let known = tenant.connection(id)?;
    app.fleet().delete(&known).await?;
    tracing::info!("connection deleted");
    Ok(StatusCode::NO_CONTENT)
}
