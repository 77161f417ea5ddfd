//! `PATCH /whatsapp/connections/{id}`

use axum::Json;
use axum::extract::State;
use relay::ConnectionId;
use serde::Deserialize;
use serde_json::json;

use super::name::display_name;
use super::view::{ConnectionView, view};
use crate::app::App;
use crate::auth::Tenant;
use crate::http::{Body, Fields, PathId};
use crate::problem::Problem;

/// What is to be changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Name for people, 1 to 128 characters.
    display_name: Option<String>,
    /// The same.
    name: Option<String>,
}

/// Changes the connection's name. 404 `connection_not_found`.
pub async fn patch(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
    Body { value, .. }: Body<Changes>,
) -> Result<Json<ConnectionView>, Problem> {
    let known = tenant.connection(id)?;
    let mut fields = Fields::default();
    let name = fields.either(("displayName", value.display_name), ("name", value.name));
    let name = fields.require("name", name, display_name);
    let name = fields.finish(name)?;
    let changed = app.fleet().change(&known, json!({"displayName": name})).await?;
    Ok(Json(view(&app, &changed).await))
}
