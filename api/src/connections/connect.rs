//! `POST /whatsapp/connections/{id}/connect`

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use relay::{Command, CommandAction, ConnectionId, LinkCode};
use runtime::ambient;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::link_code::{LinkCodeView, data_url};
use super::live::live;
use super::view::{ConnectionView, view};
use crate::auth::Tenant;
use crate::fleet::Known;
use crate::http::PathId;
use crate::problem::Problem;

/// How long the answer waits for a code. A session that runs has one at once; one that starts needs longer than anybody
/// would wait for an answer, and its codes come as events.
const WAIT: Duration = Duration::from_secs(2);

/// How often it looks for one meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// After this a new code is of no use to whoever asked. Long enough for a pod that has to be made first.
const REFRESH_DEADLINE: Duration = Duration::from_mins(3);

/// The connection, and the code that links its phone if there is one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connecting {
    #[serde(flatten)]
    connection: ConnectionView,
    /// The QR code that links a phone now, as a `data:` URL. Later ones come as `connection-status` events.
    qr: Option<String>,
    /// The code itself, also where it is a pairing code.
    link_code: Option<LinkCodeView>,
}

/// Start a connection
///
/// Asks for a new code, too, where the session makes none by itself: nobody used the last ones, or the link was
/// removed. Doing it again changes nothing.
#[utoipa::path(
    post, path = "/whatsapp/connections/{id}/connect", operation_id = "connect", tag = "connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((
        status = 202, body = Connecting,
        description = "The connection, and the code that links its phone if there is one within two seconds. Later codes \
                       come as `connection-status` events.",
    )),
    extensions(("x-problems" = json!(["connection_not_found", "conflict"]))),
)]
// A volume remembers that its link was removed, so a connection that is started asks for a code, too; one that is linked
// takes no notice.
pub async fn connect(
    tenant: Tenant,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<Connecting>), Problem> {
    let mut known = tenant.connection(id)?;
    let started = !known.wanted();
    if started {
        known = tenant.change(&known, json!({"state": "Running"})).await?;
        tracing::info!("connection started");
    }
    let status = tenant.status(&known).await;
    let waits = status.is_ok_and(|status| live(&known, status.as_ref()).needs_a_new_code());
    if started || waits {
        let deadline = ambient::now() + REFRESH_DEADLINE;
        let trace = runtime::trace::current();
        let command = Command { id: ambient::new_id(), deadline, action: CommandAction::RefreshQr, trace };
        tenant.send(&known, command).await?;
    }
    let code = tokio::time::timeout(WAIT, code(&tenant, &known)).await.ok().flatten();
    let (qr, link_code) = (code.as_ref().and_then(data_url), code.as_ref().map(LinkCodeView::from));
    Ok((StatusCode::ACCEPTED, Json(Connecting { connection: view(&tenant, &known).await, qr, link_code })))
}

/// The first code that is shown. Nothing when none is needed, or Redis is away.
async fn code(tenant: &Tenant, known: &Known) -> Option<LinkCode> {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let code = tenant.link_code(known).await.ok()?;
        if code.is_some() {
            return code;
        }
        if live(known, tenant.status(known).await.ok()?.as_ref()).is_connected() {
            return None;
        }
    }
}
