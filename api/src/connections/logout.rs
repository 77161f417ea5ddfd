//! `POST /whatsapp/connections/{id}/logout`

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use relay::{Command, CommandAction, ConnectionId};
use runtime::ambient;

use super::live::live;
use super::view::ConnectionView;
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// After this nobody expects the phone to be unlinked any more.
const DEADLINE: Duration = Duration::from_mins(5);

/// Unlink the phone
///
/// Connecting again needs a new code. How it went comes as a `connection-status` event.
#[utoipa::path(
    post, path = "/whatsapp/connections/{id}/logout", operation_id = "logout", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 202, description = "It was asked for; the connection as it is now.", body = ConnectionView)),
    extensions(("x-problems" = json!(["connection_not_found", "not_connected"]))),
)]
pub async fn logout(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<ConnectionView>), Problem> {
    let known = tenant.connection(id)?;
    let status = tenant.status(&known).await?;
    let now_is = live(&known, status.as_ref());
    if !now_is.is_linked() {
        return Err(Problem::not_connected(now_is.status));
    }
    let (deadline, trace) = (ambient::now() + DEADLINE, runtime::trace::current());
    let command = Command { id: ambient::new_id(), deadline, action: CommandAction::Logout, trace };
    tenant.send(&known, command).await?;
    tracing::info!("logout asked for");
    Ok((StatusCode::ACCEPTED, Json(ConnectionView::of(&known, status.as_ref()))))
}
