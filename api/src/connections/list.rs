//! `GET /whatsapp/connections`

use axum::Json;
use jiff::Timestamp;
use relay::ConnectionId;
use serde::{Deserialize, Serialize};

use super::view::{ConnectionView, views};
use crate::auth::Tenant;
use crate::http::{ListParams, Page};
use crate::openapi::schemas::PageParams;
use crate::problem::Problem;

#[derive(Serialize, Deserialize, PartialEq, PartialOrd)]
struct Position(Timestamp, ConnectionId);

/// List connections
///
/// The company's connections, the oldest first, each with its live status.
#[utoipa::path(
    get, path = "/whatsapp/connections", operation_id = "listConnections", tag = "connections",
    params(PageParams),
    responses((status = 200, description = "A page of connections.", body = Page<ConnectionView>)),
)]
pub async fn list(tenant: Tenant, params: ListParams) -> Result<Json<Page<ConnectionView>>, Problem> {
    let (limit, after) = (params.limit()?, params.cursor::<Position>()?);
    let all = tenant.connections().into_iter();
    let rest = all.filter(|known| after.as_ref().is_none_or(|after| Position(known.created_at(), known.id) > *after));
    let rows = rest.take(usize::from(limit) + 1).collect();
    let page = Page::of(rows, limit, |known| Position(known.created_at(), known.id), |known| known);
    Ok(Json(Page { items: views(&tenant, page.items).await, next_cursor: page.next_cursor }))
}
