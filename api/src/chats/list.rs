//! `GET /whatsapp/connections/{id}/chats`

use axum::Json;
use relay::ConnectionId;

use super::view::ChatView;
use crate::auth::Tenant;
use crate::http::{Listing, Page, PathId};
use crate::problem::Problem;
use crate::store::{ChatPage, ChatPosition, ChatRow};

/// The connection's chats, the latest activity first: individual conversations, and groups too with `groups=true`.
/// Takes `limit` and `cursor`. 404 `connection_not_found`.
pub async fn list(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
    listing: Listing,
) -> Result<Json<Page<ChatView>>, Problem> {
    let known = tenant.connection(id)?;
    let limit = listing.limit()?;
    let page = ChatPage { groups: listing.switch("groups")?, after: listing.cursor()?, limit: i64::from(limit) + 1 };
    let mut tx = tenant.begin().await?;
    let rows = tx.chats(known.id, &page).await?;
    let position = |row: &ChatRow| ChatPosition { activity: row.last_activity_at.to_jiff(), id: row.id };
    Ok(Json(Page::of(rows, limit, position, ChatView::from)))
}
