//! From Redis and the cluster to the sockets of this replica. Each replica listens for itself: there is no second hop
//! between replicas that could lose something.

use futures::StreamExt;
use relay::{ApiRelay, CompanyId, Endpoint, Envelope, LinkCode, Live, Names, Note, company_of_channel, subscribe};
use serde_json::json;
use socketioxide::SocketIo;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::connections::link_code::{LinkCodeView, data_url};
use crate::connections::live::live;
use crate::fleet::{Change, Known};
use crate::ingest::{Told, room, status_now};
use crate::realtime::socketio;

/// What a connection that is gone is called, once.
const DELETED: &str = "Deleted";

/// Emits until the process ends.
pub async fn run(app: App, io: SocketIo, redis: Endpoint, stop: CancellationToken) -> Result<(), RecvError> {
    let mut notes = subscribe(redis, vec![ApiRelay::COMPANIES.to_owned(), ApiRelay::LIVE.to_owned()]);
    let mut changes = app.fleet().changes();
    let mut subscribed_before = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(note) = notes.next() => {
                if note == Note::Subscribed && std::mem::replace(&mut subscribed_before, true) {
                    tracing::warn!("subscribed again: sockets missed something and are closed");
                    socketio::close_all(&io).await;
                }
                if let Some((company, told)) = heard(&app, &note) {
                    emit(&io, &company, &told);
                }
            }
            change = changes.recv() => match change {
                Ok(change) => {
                    let (company, told) = changed(&app, change).await;
                    emit(&io, &company, &told);
                }
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "changes missed"),
                Err(RecvError::Closed) => return Err(RecvError::Closed),
            },
        }
    }
}

/// What a note from Redis says, and to whom.
fn heard(app: &App, note: &Note) -> Option<(CompanyId, Told)> {
    let Note::Message { channel, payload } = note else { return None };
    if let Some(company) = company_of_channel(channel) {
        return Some((company, serde_json::from_str(payload).ok()?));
    }
    let known = app.fleet().connection(Names::of_channel(channel)?.0)?;
    match Envelope::<Live>::decode(payload).ok()?.payload {
        Live::Link(Some(code)) => Some((known.company.clone(), code_shown(&known, &code))),
        // What follows a code that ran out is told as the session's state.
        Live::Link(None) => None,
    }
}

/// A new code, in the words of a status, so that one listener of the frontend serves both.
fn code_shown(known: &Known, code: &LinkCode) -> Told {
    let mut told = status_now(known.id, relay::SessionState::AwaitingLink.as_str(), None);
    if let Some(data) = told.data.as_object_mut() {
        data.insert("qr".to_owned(), json!(data_url(code)));
        data.insert("linkCode".to_owned(), json!(LinkCodeView::from(code)));
    }
    told
}

/// What a change in the cluster says, and to whom.
async fn changed(app: &App, change: Change) -> (CompanyId, Told) {
    match change {
        Change::Deleted(known) => (known.company, status_now(known.id, DELETED, None)),
        Change::Wanted(known) => {
            let session = app.ask_relay(async |relay| relay.status(known.id).await).await.ok().flatten();
            let now = live(&known, session.as_ref());
            (known.company, status_now(known.id, now.status, now.reason.as_deref()))
        }
    }
}

/// To every socket in the company's room, each by itself: a client whose queue is full is disconnected, so that it
/// knows that it missed something, and the others are not.
fn emit(io: &SocketIo, company: &CompanyId, told: &Told) {
    for socket in io.within(room(company)).sockets() {
        if socket.emit(&told.name, &told.data).is_err() {
            crate::metrics::SLOW_SOCKETS.count([]);
            let _ = socket.disconnect();
        }
    }
}
