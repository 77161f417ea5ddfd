//! One page's WebSocket: what the page says goes to the world, what the world has for the page goes to it, and the
//! QR codes' time runs here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::{Instant, sleep_until, timeout};

use crate::protocol::{FromPage, ToPage};
use crate::simulator::Shared;
use crate::world::{Moment, Outbox, PageId};

/// A page greets at once; one that does not is none of ours.
const GREETING: Duration = Duration::from_secs(5);
/// How often a silent page is asked for a sign of life, and after how many questions it is given up: a browser that was
/// killed together with its network closes nothing.
const PING: Duration = Duration::from_secs(5);
const UNANSWERED_PINGS: u8 = 3;
/// A write takes longer only when nobody reads any more.
const WRITE: Duration = Duration::from_secs(5);
/// WebSocket close code of our own for a page that is held off.
const HELD_OFF: u16 = 4003;

/// Serves a page until it goes or is dropped.
pub(crate) async fn serve(mut socket: WebSocket, shared: Arc<Shared>) {
    let Some(FromPage::Hello { login, keys }) = timeout(GREETING, read(&mut socket)).await.ok().flatten() else {
        return;
    };
    let admitted = shared.world().hello(login, keys, &Moment::ambient());
    let Some((id, outbox)) = admitted else {
        let close = Message::Close(Some(CloseFrame { code: HELD_OFF, reason: "held off".into() }));
        drop(timeout(WRITE, socket.send(close)).await);
        return;
    };
    tracing::info!(page = id, "page connected");
    converse(&mut socket, &shared, id, outbox).await;
    shared.world().remove_page(id);
    tracing::info!(page = id, "page gone");
}

async fn converse(socket: &mut WebSocket, shared: &Shared, id: PageId, mut outbox: Outbox) {
    let mut shown: Option<String> = None;
    let mut next_qr = Instant::now();
    let mut ping = Instant::now() + PING;
    let mut unanswered = 0;
    loop {
        let showing = shared.world().shown_qr(id).map(str::to_owned);
        if showing != shown {
            shown = showing;
            next_qr = Instant::now() + shared.qr_lifetime;
        }
        tokio::select! {
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(message) => hear(shared, id, message),
                    Err(error) => return tracing::error!(page = id, %error, "the page says what the server does not know"),
                },
                Some(Ok(Message::Pong(_))) => unanswered = 0,
                Some(Ok(Message::Ping(_) | Message::Binary(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            // Ends when the world has dropped the page.
            told = outbox.recv() => match told {
                Some(message) if write(socket, &message).await => {}
                _ => return,
            },
            () = sleep_until(next_qr), if shown.is_some() => shared.world().next_qr(id, &Moment::ambient()),
            () = sleep_until(ping) => {
                unanswered += 1;
                ping = Instant::now() + PING;
                let sent = timeout(WRITE, socket.send(Message::Ping(Vec::new().into()))).await;
                if unanswered > UNANSWERED_PINGS || !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

fn hear(shared: &Shared, id: PageId, message: FromPage) {
    let moment = Moment::ambient();
    let mut world = shared.world();
    match message {
        FromPage::Hello { .. } => {}
        FromPage::RefreshQr => world.refresh_qr(id, &moment),
        FromPage::PairingCode { request, phone } => world.pairing_code(id, request, phone, &moment),
        FromPage::Stored => world.stored(id),
        FromPage::Synced => world.synced(id),
        FromPage::Received { id: message } => world.received(id, &message),
        FromPage::Send { request, message } => world.send(id, request, message, &moment),
        FromPage::Exists { request, id: chat } => world.exists(id, request, &chat),
        FromPage::Read { chat } => world.read(id, &chat),
        FromPage::Logout => world.leave(id),
    }
}

async fn read(socket: &mut WebSocket) -> Option<FromPage> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

async fn write(socket: &mut WebSocket, message: &ToPage) -> bool {
    let Ok(text) = serde_json::to_string(message) else { return false };
    matches!(timeout(WRITE, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}
