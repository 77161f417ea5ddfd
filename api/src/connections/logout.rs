//! `POST /whatsapp/connections/{id}/logout`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use relay::{Command, CommandAction, ConnectionId};
use runtime::ambient;

use super::live::live;
use super::view::ConnectionView;
use crate::app::App;
use crate::auth::Tenant;
use crate::http::PathId;
use crate::problem::Problem;

/// After this nobody expects the phone to be unlinked any more.
const DEADLINE: Duration = Duration::from_mins(5);

/// Unlinks the phone: connecting again needs a new code. Answers 202 with the connection; how it went comes as a
/// `connection-status` event. 409 `not_connected` when no phone is linked or no
/// session runs that could unlink it.
pub async fn logout(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<ConnectionView>), Problem> {
    let known = tenant.connection(id)?;
    let status = app.ask_relay(async |relay| relay.status(id).await).await?;
    let now_is = live(&known, status.as_ref());
    if !now_is.is_linked() {
        return Err(Problem::not_connected(now_is.status));
    }
    let now = ambient::now();
    let command = Command { id: ambient::new_id(), deadline: now + DEADLINE, action: CommandAction::Logout };
    app.ask_relay(async |relay| relay.send(id, command, now).await).await?;
    tracing::info!("logout asked for");
    Ok((StatusCode::ACCEPTED, Json(ConnectionView::of(&known, status.as_ref()))))
}
