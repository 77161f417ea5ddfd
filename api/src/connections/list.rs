//! `GET /whatsapp/connections`

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use relay::ConnectionId;
use serde::{Deserialize, Serialize};

use super::view::{ConnectionView, views};
use crate::app::App;
use crate::auth::Tenant;
use crate::http::{Listing, Page};
use crate::problem::Problem;

#[derive(Serialize, Deserialize, PartialEq, PartialOrd)]
struct Position(Timestamp, ConnectionId);

/// The company's connections, the oldest first, each with its live status. Takes `limit` and `cursor`.
pub async fn list(
    tenant: Tenant,
    State(app): State<App>,
    listing: Listing,
) -> Result<Json<Page<ConnectionView>>, Problem> {
    let (limit, after) = (listing.limit()?, listing.cursor::<Position>()?);
    let all = tenant.connections().into_iter();
    let rest = all.filter(|known| after.as_ref().is_none_or(|after| Position(known.created_at(), known.id) > *after));
    let rows = rest.take(usize::from(limit) + 1).collect();
    let page = Page::of(rows, limit, |known| Position(known.created_at(), known.id), |known| known);
    Ok(Json(Page { items: views(&app, page.items).await, next_cursor: page.next_cursor }))
}
