//! `GET /whatsapp/audit`

use axum::Json;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Tenant;
use crate::http::{ListParams, Page};
use crate::openapi::schemas::PageParams;
use crate::problem::Problem;
use crate::store::{AuditPosition, AuditRow};

/// Something that somebody tried.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct AuditView {
    /// When.
    pub at: Timestamp,
    /// Who: the `sub` of the token.
    pub subject: Option<String>,
    /// What: method and route.
    #[schema(example = "POST /whatsapp/connections/{id}/connect")]
    pub action: String,
    /// The id in the path, whether there is such a thing or not.
    pub target: Option<Uuid>,
    /// How it went, as an HTTP status.
    pub status: i16,
    /// The request's id.
    pub request_id: String,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let AuditRow { at, subject, action, target, status, request_id, .. } = row;
        Self { at: at.to_jiff(), subject, action, target, status, request_id }
    }
}

/// List what was tried
///
/// Every request with a good token that would change something, the newest first, with who made it and how it was answered. Entries are kept
/// for 90 days.
#[utoipa::path(
    get, path = "/whatsapp/audit", operation_id = "listAudit", tag = "service",
    params(PageParams),
    responses((status = 200, description = "A page of entries.", body = Page<AuditView>)),
)]
pub async fn list(tenant: Tenant, params: ListParams) -> Result<Json<Page<AuditView>>, Problem> {
    let (limit, before) = (params.limit()?, params.cursor::<AuditPosition>()?);
    let rows = tenant.begin().await?.audit(before.as_ref(), i64::from(limit) + 1).await?;
    let position = |row: &AuditRow| AuditPosition { id: row.id };
    Ok(Json(Page::of(rows, limit, position, AuditView::from)))
}
