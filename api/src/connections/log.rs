//! `GET /whatsapp/connections/{id}/log`

use axum::Json;
use jiff::Timestamp;
use relay::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Tenant;
use crate::http::{ListParams, Page, PathId};
use crate::openapi::schemas::PageParams;
use crate::problem::Problem;
use crate::store::{LogPosition, LogRow};

/// A step in the life of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its place among all events of the connection, as in `connection-status`.
    offset: String,
    /// When it happened.
    at: Timestamp,
    /// The state of its session that began: `Connected`, `Reconnecting`, `LoggedOut`, …
    state: String,
    /// Why, as a CamelCase word, where the state alone does not say.
    reason: Option<String>,
}

impl From<LogRow> for LogEntry {
    fn from(row: LogRow) -> Self {
        Self { offset: format!("{}-{}", row.ms, row.seq), at: row.at.to_jiff(), state: row.state, reason: row.reason }
    }
}

/// Get the log of a connection
///
/// Every step in the life of its sessions, with its reason, the newest first.
#[utoipa::path(
    get, path = "/whatsapp/connections/{id}/log", operation_id = "getConnectionLog", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id."), PageParams),
    responses((status = 200, description = "A page of steps.", body = Page<LogEntry>)),
    extensions(("x-problems" = json!(["connection_not_found"]))),
)]
pub async fn log(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
    params: ListParams,
) -> Result<Json<Page<LogEntry>>, Problem> {
    let known = tenant.connection(id)?;
    let (limit, before) = (params.limit()?, params.cursor::<LogPosition>()?);
    let mut tx = tenant.begin().await?;
    let rows = tx.log(known.id, before.as_ref(), i64::from(limit) + 1).await?;
    let position = |row: &LogRow| LogPosition { ms: row.ms, seq: row.seq };
    Ok(Json(Page::of(rows, limit, position, LogEntry::from)))
}
