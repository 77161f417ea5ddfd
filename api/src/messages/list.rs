//! `GET /whatsapp/chats/{id}/messages`

use axum::Json;

use super::view::MessageView;
use crate::auth::Tenant;
use crate::http::{Listing, Page, PathId};
use crate::problem::Problem;
use crate::store::{ChatKey, MessagePosition, MessageRow};

/// A chat's messages. The first page has the newest; `nextCursor` leads to older ones. Within a page the oldest is
/// first, as a screen shows them. Messages that come in meanwhile change no later page. 404 `chat_not_found`.
pub async fn list(
    tenant: Tenant,
    PathId(id): PathId<ChatKey>,
    listing: Listing,
) -> Result<Json<Page<MessageView>>, Problem> {
    let (limit, before) = (listing.limit()?, listing.cursor::<MessagePosition>()?);
    let mut tx = tenant.begin().await?;
    tx.chat(id).await?.ok_or_else(|| Problem::not_found("chat_not_found", "There is no chat of this id."))?;
    let rows = tx.messages(id, before.as_ref(), i64::from(limit) + 1).await?;
    let position = |row: &MessageRow| MessagePosition { sent_at: row.sent_at.to_jiff(), seq: row.seq };
    let mut page = Page::of(rows, limit, position, MessageView::from);
    page.items.reverse();
    Ok(Json(page))
}
