//! Socket.IO for the existing frontend: `io(url, { auth: { token } })`, then `join-company`. The room comes from the
//! token; the company that a client names is only compared with it. A client that comes again may say in `auth.offset` how
//! far it was told.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::ORIGIN;
use jiff::Timestamp;
use relay::{ConnectionId, Offset};
use runtime::ambient;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Extension, SocketRef, State, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use super::hub::Listening;
use super::member::{Member, Pace};
use super::positions::Positions;
use super::resume::{Heard, Missed, missed};
use super::transports::Upgraded;
use crate::app::App;
use crate::auth::{Identity, TokenKeys};
use crate::ingest::Told;
use crate::metrics;
use crate::store::TenantScope;

/// Packets that wait for one slow client. Past that it is closed, and resumes: nothing is dropped silently. The library's
/// 128 is less than a burst of one busy company.
const QUEUE: usize = 512;

/// Bytes of the largest packet from a client. They only name their company, and how far each connection is: 80 bytes.
const LARGEST: usize = 64 * 1024;

/// How long a client may take between its transport and its token.
const GREETING: Duration = Duration::from_secs(10);

/// How long transports may take to close when the process ends.
const CLOSING: Duration = Duration::from_secs(2);

/// How often sessions whose token ended are looked for. One so old ends at most this much late.
const EXPIRY: Duration = Duration::from_secs(5);

/// How long letting in waits for Redis and the database. Past that a client is let in all the same, and closed once it is
/// known that it may have missed something.
const LISTENING: Duration = Duration::from_secs(5);

/// How long the hub may take to say what it knows already.
const KNOWN: Duration = Duration::from_millis(200);

/// By what a client's handshake is judged, and where it is led.
#[derive(Clone)]
pub struct Lobby {
    /// Verifies tokens.
    pub tokens: TokenKeys,
    /// Who may call from a browser.
    pub origins: Arc<[HeaderValue]>,
    /// Database, cluster and Redis.
    pub app: App,
    /// The rooms.
    pub audience: Audience,
    /// Asks the hub.
    pub listening: Listening,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
    #[serde(default)]
    offset: Option<Heard>,
}

/// How far a client was told before, where it said so.
#[derive(Debug, Clone)]
struct Before(Option<Heard>);

/// Cancelled once the socket is connected: before that nothing can be sent to it, be it an acknowledgement.
#[derive(Debug, Clone, Default)]
struct Welcomed(CancellationToken);

/// What a refused client reads as the message of its `connect_error`.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("unauthorized")]
    Token,
    #[error("forbidden origin")]
    Origin,
}

/// The layer that serves `/socket.io`, and the handle on all sockets.
pub fn sockets(lobby: Lobby) -> (SocketIoLayer, SocketIo) {
    let (layer, io) = SocketIo::builder()
        .with_state(lobby)
        .max_buffer_size(QUEUE)
        .max_payload(u64::try_from(LARGEST).unwrap_or(u64::MAX))
        .ws_max_message_size(LARGEST)
        .ws_max_frame_size(LARGEST)
        .ws_read_buffer_size(4096)
        .connect_timeout(GREETING)
        .build_layer();
    io.ns("/", welcome.with(admit));
    (layer, io)
}

async fn admit(socket: SocketRef, State(lobby): State<Lobby>, TryData(auth): TryData<Auth>) -> Result<(), Refused> {
    // Programs send no origin; a browser sends one it cannot choose.
    let origin = socket.req_parts().headers.get(ORIGIN);
    if origin.is_some_and(|origin| !lobby.origins.contains(origin)) {
        tracing::info!("socket refused: origin");
        return Err(Refused::Origin);
    }
    let Auth { token, offset } = auth.unwrap_or(Auth { token: String::new(), offset: None });
    let identity = lobby.tokens.verify(&token).map_err(|reason| {
        metrics::TOKENS_REFUSED.count([]);
        tracing::info!(%reason, "socket refused");
        Refused::Token
    })?;
    socket.extensions.insert(identity);
    socket.extensions.insert(Before(offset));
    socket.extensions.insert(Welcomed::default());
    // Here and not in `welcome`: the client hears that it is connected before that runs, and may ask at once.
    socket.on("join-company", join);
    socket.on_disconnect(left);
    Ok(())
}

async fn welcome(Extension(Welcomed(welcomed)): Extension<Welcomed>) {
    welcomed.cancel();
}

async fn left(socket: SocketRef, State(lobby): State<Lobby>, Extension(identity): Extension<Identity>) {
    lobby.audience.remove(identity.company(), socket.id);
}

async fn join(
    socket: SocketRef,
    Extension(identity): Extension<Identity>,
    Extension(Before(heard)): Extension<Before>,
    Extension(Welcomed(welcomed)): Extension<Welcomed>,
    State(lobby): State<Lobby>,
    TryData(asked): TryData<Value>,
    ack: AckSender,
) {
    // One that is gone by then is seen below.
    let _ = timeout(GREETING, welcomed.cancelled()).await;
    let own = identity.company();
    let asked = asked.unwrap_or_default();
    if let Some(reason) = refusal(named(&asked), own.as_str(), identity.expires_at(), ambient::now()) {
        // The name asked for is a stranger's text: it stays out of the log.
        tracing::warn!(audit = true, company = %own, subject = identity.subject(), reason, "join-company refused");
        metrics::JOINS_REFUSED.count([]);
        let _ = ack.send(&json!({"joined": false}));
        return;
    }
    let member = Arc::new(Member::new(socket.clone()));
    if !lobby.audience.add(own, &member) {
        let _ = ack.send(&json!({"joined": true}));
        return;
    }
    if !socket.connected() {
        // It left before it was in: nobody else would take it out again.
        return lobby.audience.remove(own, socket.id);
    }
    let entry = lobby.entry(&TenantScope::of_token(&identity), &member, heard.as_ref()).await;
    let _ = ack.send(&entry.answer());
    if member.let_in(entry.from.as_deref().unwrap_or_default(), &entry.missed) == Pace::FellBehind {
        lobby.listening.close(socket).await;
    }
}

/// How a client is let in.
struct Entry {
    /// From these places on it is told everything; unset where nobody can say. An empty map would be taken for an answer,
    /// and given back it would mean that everything since the beginning was missed.
    from: Option<Vec<(ConnectionId, Offset)>>,
    /// Whether it gets all that it missed, where it said how far it was.
    recovered: Option<bool>,
    /// That.
    missed: Vec<Told>,
}

impl Entry {
    fn answer(&self) -> Value {
        let entry = |(id, offset): &(ConnectionId, Offset)| (id.to_string(), json!(offset));
        let offsets = self.from.as_ref().map(|from| from.iter().map(entry).collect::<Map<_, _>>());
        let mut answer = json!({"joined": true, "offsets": offsets});
        if let (Some(recovered), Some(answer)) = (self.recovered, answer.as_object_mut()) {
            answer.insert("recovered".to_owned(), json!(recovered));
        }
        answer
    }
}

impl Lobby {
    /// What a client that is in its room, and still waits there, is to be told first.
    async fn entry(&self, scope: &TenantScope, member: &Member, heard: Option<&Heard>) -> Entry {
        let positions = self.listen(scope, member).await;
        let present: BTreeSet<_> =
            self.app.fleet().of_company(scope.company()).into_iter().map(|known| known.id).collect();
        let missed = match (heard, &positions) {
            (None, _) => None,
            (Some(_), None) => Some(Missed::TooMuch),
            (Some(heard), Some(_)) => {
                Some(missed(self.app.store(), scope, heard, &present).await.unwrap_or_else(|error| {
                    tracing::warn!(company = %scope.company(), %error, "what a client missed cannot be read");
                    Missed::TooMuch
                }))
            }
        };
        let recovered = missed.as_ref().map(|missed| matches!(missed, Missed::All(..)));
        if let Some(recovered) = recovered {
            metrics::SOCKETS_RESUMED.count([if recovered { "true" } else { "false" }]);
        }
        let here = |positions: Positions| present.iter().map(|id| (*id, positions.of(*id))).collect();
        match missed {
            Some(Missed::All(from, missed)) => Entry { from: Some(from), recovered, missed },
            None | Some(Missed::TooMuch) => Entry { from: positions.map(here), recovered, missed: Vec::new() },
        }
    }

    async fn listen(&self, scope: &TenantScope, member: &Member) -> Option<Positions> {
        if let Ok(positions) = timeout(LISTENING, self.listening.to(scope)).await {
            return positions;
        }
        // From here on the hub closes it when it is ready; it may just have become so.
        member.let_in_blind(true);
        let positions = timeout(KNOWN, self.listening.to(scope)).await.ok().flatten();
        member.let_in_blind(positions.is_none());
        positions
    }
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

/// Ends sessions with their tokens, until the process ends; then closes all, so that clients go to another replica.
pub async fn expire(io: SocketIo, upgraded: Upgraded, stop: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => {
                close(&io).await;
                return Ok(());
            }
        }
        upgraded.sweep();
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

/// Closes every transport in good order: clients then come again by themselves.
async fn close(io: &SocketIo) {
    if timeout(CLOSING, io.close()).await.is_err() {
        tracing::warn!("some transports did not close in time");
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
