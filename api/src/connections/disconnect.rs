//! `DELETE /whatsapp/connections/{id}/connect`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use relay::ConnectionId;
use serde_json::json;

use super::view::{ConnectionView, view};
use crate::app::App;
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// Takes the connection offline. The link to its phone is kept: connecting again needs no code. Answers 202 with the
/// connection. Doing it again changes nothing. 404 `connection_not_found`.
pub async fn disconnect(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<ConnectionView>), Problem> {
    let mut known = tenant.connection(id)?;
    if known.wanted() {
        known = app.fleet().change(&known, json!({"state": "Suspended"})).await?;
        tracing::info!("connection suspended");
    }
    Ok((StatusCode::ACCEPTED, Json(view(&app, &known).await)))
}
