//! `POST /whatsapp/connections/{id}/connect`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use relay::{Command, CommandAction, ConnectionId, LinkCode};
use runtime::ambient;
use serde::Serialize;
use serde_json::json;

use super::link_code::{LinkCodeView, data_url};
use super::live::live;
use super::view::{ConnectionView, view};
use crate::app::App;
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
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connecting {
    #[serde(flatten)]
    connection: ConnectionView,
    /// The QR code that links a phone now, as a `data:` URL. Later ones come as `connection-status` events.
    qr: Option<String>,
    /// The code itself, also where it is a pairing code.
    link_code: Option<LinkCodeView>,
}

/// Starts the connection, and asks for a new code where the session makes none by itself: a volume remembers that its link
/// was removed, so a connection that is started asks, too; one that is linked takes no notice. Answers 202 with the connection and,
/// if there is one within two seconds, the code. Doing it again changes nothing. 404 `connection_not_found`.
pub async fn connect(
    tenant: Tenant,
    State(app): State<App>,
    PathId(id): PathId<ConnectionId>,
) -> Result<(StatusCode, Json<Connecting>), Problem> {
    let mut known = tenant.connection(id)?;
    let started = !known.wanted();
    if started {
        known = app.fleet().change(&known, json!({"state": "Running"})).await?;
        tracing::info!("connection started");
    }
    let status = app.ask_relay(async |relay| relay.status(id).await).await;
    let waits = status.is_ok_and(|status| live(&known, status.as_ref()).waits_for_a_wish());
    if started || waits {
        let now = ambient::now();
        let command =
            Command { id: ambient::new_id(), deadline: now + REFRESH_DEADLINE, action: CommandAction::RefreshQr };
        app.ask_relay(async |relay| relay.send(id, command, now).await).await?;
    }
    let code = tokio::time::timeout(WAIT, code(&app, &known)).await.ok().flatten();
    let (qr, link_code) = (code.as_ref().and_then(data_url), code.as_ref().map(LinkCodeView::from));
    Ok((StatusCode::ACCEPTED, Json(Connecting { connection: view(&app, &known).await, qr, link_code })))
}

/// The first code that is shown. Nothing when none is needed, or Redis is away.
async fn code(app: &App, known: &Known) -> Option<LinkCode> {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let (code, status) =
            app.ask_relay(async |relay| Ok((relay.link(known.id).await?, relay.status(known.id).await?))).await.ok()?;
        if code.is_some() {
            return code;
        }
        if live(known, status.as_ref()).is_connected() {
            return None;
        }
    }
}
