//! `GET /whatsapp/chats/{id}/messages`

use axum::Json;

use super::view::MessageView;
use crate::auth::Tenant;
use crate::http::{ListParams, Page, PathId};
use crate::openapi::schemas::PageParams;
use crate::problem::{Code, Problem};
use crate::store::{ChatKey, MessagePosition, MessageRow};

/// List messages
///
/// The first page has the newest messages of the chat; `nextCursor` leads to older ones. Within a page the oldest is
/// first, as a screen shows them. Messages that come in meanwhile change no later page.
#[utoipa::path(
    get, path = "/whatsapp/chats/{id}/messages", operation_id = "listMessages", tag = "messages",
    params(("id" = Uuid, Path, description = "The chat's id."), PageParams),
    responses((status = 200, description = "A page of messages.", body = Page<MessageView>)),
    extensions(("x-problems" = json!(["chat_not_found"]))),
)]
pub async fn list(
    tenant: Tenant,
    PathId(id): PathId<ChatKey>,
    params: ListParams,
) -> Result<Json<Page<MessageView>>, Problem> {
    let (limit, before) = (params.limit()?, params.cursor::<MessagePosition>()?);
    let mut tx = tenant.begin().await?;
    tx.chat(id).await?.ok_or_else(|| Problem::new(Code::ChatNotFound, "There is no chat of this id."))?;
    let rows = tx.messages(id, before.as_ref(), i64::from(limit) + 1).await?;
    let position = |row: &MessageRow| MessagePosition { sent_at: row.sent_at.to_jiff(), seq: row.seq };
    let mut page = Page::of(rows, limit, position, MessageView::from);
    page.items.reverse();
    Ok(Json(page))
}
