//! `GET /whatsapp/connections/{id}`

use axum::Json;
use axum::extract::State;
use relay::ConnectionId;

use super::view::{ConnectionView, view};
use crate::app::App;
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// One connection with its live status. 404 `connection_not_found`.
pub async fn get(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<ConnectionView>, Problem> {
    let known = tenant.connection(id)?;
    Ok(Json(view(&app, &known).await))
}
