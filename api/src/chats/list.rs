//! `GET /whatsapp/connections/{id}/chats`

use axum::Json;
use relay::ConnectionId;

use super::view::ChatView;
use crate::auth::Tenant;
use crate::http::{ListParams, Page, PathId};
use crate::openapi::schemas::PageParams;
use crate::problem::Problem;
use crate::store::{ChatPage, ChatPosition, ChatRow};

/// List chats
///
/// The connection's chats, the latest activity first: individual conversations, and groups too with `groups=true`.
#[utoipa::path(
    get, path = "/whatsapp/connections/{id}/chats", operation_id = "listChats", tag = "chats",
    params(
        ("id" = Uuid, Path, description = "The connection's id."),
        ("groups" = Option<bool>, Query, description = "Groups besides individual conversations; false unless said."),
        PageParams,
    ),
    responses((status = 200, description = "A page of chats.", body = Page<ChatView>)),
    extensions(("x-problems" = json!(["connection_not_found"]))),
)]
pub async fn list(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
    params: ListParams,
) -> Result<Json<Page<ChatView>>, Problem> {
    let known = tenant.connection(id)?;
    let limit = params.limit()?;
    let page = ChatPage { groups: params.switch("groups")?, after: params.cursor()?, limit: i64::from(limit) + 1 };
    let mut tx = tenant.begin().await?;
    let rows = tx.chats(known.id, &page).await?;
    let position = |row: &ChatRow| ChatPosition { activity: row.position.to_jiff(), id: row.id, mark: row.mark };
    Ok(Json(Page::of(rows, limit, position, ChatView::from)))
}
