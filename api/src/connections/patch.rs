//! `PATCH /whatsapp/connections/{id}`

use axum::Json;
use relay::ConnectionId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::name::display_name;
use super::view::{ConnectionView, view};
use crate::auth::Tenant;
use crate::http::{Body, Fields, PathId};
use crate::openapi::schemas;
use crate::problem::Problem;

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConnectionChanges)]
pub struct Changes {
    /// Name for people, not blank. `displayName` is another word for it; both must say the same.
    #[schema(schema_with = schemas::display_name, required)]
    name: Option<String>,
    #[schema(ignore)]
    display_name: Option<String>,
}

/// Rename a connection
#[utoipa::path(
    patch, path = "/whatsapp/connections/{id}", operation_id = "updateConnection", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    request_body = Changes,
    responses((status = 200, description = "The connection as it is now.", body = ConnectionView)),
    extensions(("x-problems" = json!(["connection_not_found", "conflict"]))),
)]
pub async fn patch(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
    Body { value, .. }: Body<Changes>,
) -> Result<Json<ConnectionView>, Problem> {
    let known = tenant.connection(id)?;
    let mut fields = Fields::default();
    let name = fields.either(("displayName", value.display_name), ("name", value.name));
    let name = fields.require("name", name, display_name);
    let name = fields.finish(name)?;
    let changed = tenant.change(&known, json!({"displayName": name})).await?;
    Ok(Json(view(&tenant, &changed).await))
}
