//! Socket.IO for the existing frontend: `io(url, { auth: { token } })`, then `join-company`. The room comes from the
//! token; the company that a client names is only compared with it.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::ORIGIN;
use futures::future::poll_immediate;
use jiff::Timestamp;
use runtime::ambient;
use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Extension, SocketRef, State, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::auth::{Identity, TokenKeys};
use crate::ingest::room;
use crate::metrics;

/// Packets that wait for one slow client. Past that it is disconnected, and reads what it missed by REST: nothing is
/// dropped silently. The library's 128 is less than a burst of one busy company.
const QUEUE: usize = 512;

/// Bytes of the largest packet from a client. They only name their company.
const LARGEST: usize = 64 * 1024;

/// How long a client may take between its transport and its token.
const GREETING: Duration = Duration::from_secs(10);

/// How long transports may take to close. Those that need more close later.
const CLOSING: Duration = Duration::from_secs(2);

/// How often sessions whose token ended are looked for. One so old ends at most this much late.
const EXPIRY: Duration = Duration::from_secs(5);

/// Who may come in.
#[derive(Debug, Clone)]
struct Door {
    tokens: TokenKeys,
    origins: Arc<[HeaderValue]>,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// What a refused client reads as the message of its `connect_error`.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("unauthorized")]
    Token,
    #[error("forbidden origin")]
    Origin,
}

/// The layer that serves `/socket.io`, and the handle that emits.
pub fn sockets(tokens: TokenKeys, origins: &[HeaderValue]) -> (SocketIoLayer, SocketIo) {
    let (layer, io) = SocketIo::builder()
        .with_state(Door { tokens, origins: origins.into() })
        .max_buffer_size(QUEUE)
        .max_payload(u64::try_from(LARGEST).unwrap_or(u64::MAX))
        .ws_max_message_size(LARGEST)
        .ws_max_frame_size(LARGEST)
        .ws_read_buffer_size(4096)
        .connect_timeout(GREETING)
        .build_layer();
    open(&io);
    (layer, io)
}

fn open(io: &SocketIo) {
    io.ns("/", welcome.with(admit));
}

/// Closes the transport of every socket of this replica. Clients then come again by themselves and know that they missed
/// something; after a mere disconnect from the namespace socket.io-client would stay away for ever.
pub async fn close_all(io: &SocketIo) {
    let sockets = io.sockets();
    let mut closing = pin!(io.close());
    // Its first step takes the namespace away, which is there again before anybody comes back.
    let closed = poll_immediate(&mut closing).await.is_some();
    open(io);
    if !closed && tokio::time::timeout(CLOSING, closing).await.is_err() {
        tracing::warn!("some transports are still closing");
    }
    for socket in sockets {
        // The namespace that they were in is no longer known by its name: each leaves it by itself, or both stay in memory.
        let _ = socket.disconnect();
    }
}

async fn admit(socket: SocketRef, State(door): State<Door>, TryData(auth): TryData<Auth>) -> Result<(), Refused> {
    // Programs send no origin; a browser sends one it cannot choose.
    let origin = socket.req_parts().headers.get(ORIGIN);
    if origin.is_some_and(|origin| !door.origins.contains(origin)) {
        tracing::info!("socket refused: origin");
        return Err(Refused::Origin);
    }
    let token = auth.map(|auth| auth.token).unwrap_or_default();
    let identity = door.tokens.verify(&token).map_err(|reason| {
        metrics::TOKENS_REFUSED.count([]);
        tracing::info!(%reason, "socket refused");
        Refused::Token
    })?;
    socket.extensions.insert(identity);
    Ok(())
}

async fn welcome(socket: SocketRef) {
    socket.on("join-company", join);
}

async fn join(
    socket: SocketRef,
    Extension(identity): Extension<Identity>,
    TryData(asked): TryData<Value>,
    ack: AckSender,
) {
    let own = identity.company();
    let asked = asked.unwrap_or_default();
    let refusal = refusal(named(&asked), own.as_str(), identity.expires_at(), ambient::now());
    if let Some(reason) = refusal {
        // The name asked for is a stranger's text: it stays out of the log.
        tracing::warn!(audit = true, company = %own, subject = identity.subject(), reason, "join-company refused");
        metrics::JOINS_REFUSED.count([]);
    } else {
        socket.join(room(own));
    }
    let _ = ack.send(&json!({"joined": refusal.is_none()}));
}

/// Why somebody may not join, if so. A token that ended while its socket was open is nobody's attack.
fn refusal(asked: Option<&str>, own: &str, expires_at: Timestamp, now: Timestamp) -> Option<&'static str> {
    match asked {
        None => Some("no company named"),
        Some(asked) if asked != own => Some("another company"),
        Some(_) if expires_at <= now => Some("token expired"),
        Some(_) => None,
    }
}

/// The company in `join-company`: a text, or an object with `companyId`.
fn named(asked: &Value) -> Option<&str> {
    asked.as_str().or_else(|| asked.get("companyId")?.as_str())
}

/// Ends sessions with their tokens, until the process ends; then ends all, so that clients go to another replica.
pub async fn expire(io: SocketIo, stop: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => {
                io.close().await;
                return Ok(());
            }
        }
        let now = ambient::now();
        let sockets = io.sockets();
        metrics::SOCKETS.set_count(sockets.len(), []);
        for socket in sockets {
            let over = socket.extensions.get::<Identity>().is_none_or(|identity| identity.expires_at() <= now);
            if over {
                let _ = socket.disconnect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_named_as_frontends_name_it() {
        assert_eq!(named(&json!("acme")), Some("acme"));
        assert_eq!(named(&json!({"companyId": "acme"})), Some("acme"));
        for nothing in [json!(null), json!(7), json!(["acme"]), json!({})] {
            assert_eq!(named(&nothing), None);
        }
    }

    #[test]
    fn a_refusal_is_called_what_it_is() {
        let (before, end, after) = (Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX);
        assert_eq!(refusal(Some("acme"), "acme", end, before), None);
        assert_eq!(refusal(Some("acme"), "acme", end, after), Some("token expired"));
        assert_eq!(refusal(Some("globex"), "acme", end, before), Some("another company"));
        assert_eq!(refusal(None, "acme", end, before), Some("no company named"));
    }
}
