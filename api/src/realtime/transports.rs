//! Closing a client's transport, also one that takes nothing any more. After that, unlike after a mere disconnect from
//! the namespace, socket.io-client comes again by itself. The library closes a transport only by way of its queue, which
//! is full where it matters; so a WebSocket's connection is hung up, and a long poll is ended by the packet with which
//! its client would end it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tower::ServiceExt;

use crate::http::Line;

/// The connections of sockets that began as long polls and became `WebSockets` later: theirs is not that of the request
/// which opened the socket.
#[derive(Debug, Clone, Default)]
pub struct Upgraded(Arc<Mutex<HashMap<Sid, Line>>>);

impl Upgraded {
    /// Forgets those that are gone.
    pub fn sweep(&self) {
        self.with(|lines| lines.retain(|_, line| line.is_up()));
    }

    fn with<T>(&self, read: impl FnOnce(&mut HashMap<Sid, Line>) -> T) -> T {
        // Nothing panics while it holds the lock; were it so, the map would still be whole.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A layer that remembers on which connection a socket becomes a WebSocket. Only of who was let through: else anybody could
/// fill the map, with ids that they made up.
pub async fn remember(State(upgraded): State<Upgraded>, request: Request, next: Next) -> Response {
    let query = request.uri().query().filter(|_| request.uri().path().starts_with("/socket.io"));
    let line = request.extensions().get::<ConnectInfo<Line>>().map(|line| line.0.clone());
    let upgrade = query.and_then(upgrading).zip(line);
    let response = next.run(request).await;
    if let Some((sid, line)) = upgrade.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        upgraded.with(|lines| lines.insert(sid, line));
    }
    response
}

/// The socket that a request upgrades.
fn upgrading(query: &str) -> Option<Sid> {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value("sid").filter(|_| value("transport") == Some("websocket"))?.parse().ok()
}

/// Closes transports.
#[derive(Clone)]
pub struct Transports {
    routes: Router,
    upgraded: Upgraded,
}

impl Transports {
    /// Of the sockets that are served at these routes.
    #[must_use]
    pub const fn new(routes: Router, upgraded: Upgraded) -> Self {
        Self { routes, upgraded }
    }

    /// Closes the transport of a socket.
    pub fn close(&self, socket: &SocketRef) {
        match socket.transport_type() {
            TransportType::Websocket => {
                let line = self.upgraded.with(|lines| lines.remove(&socket.id));
                if let Some(line) =
                    line.or_else(|| Some(socket.req_parts().extensions.get::<ConnectInfo<Line>>()?.0.clone()))
                {
                    line.hang_up();
                }
            }
            TransportType::Polling => self.end_polling(socket.id),
        }
    }

    fn end_polling(&self, socket: Sid) {
        let request = Request::post(format!("/socket.io/?EIO=4&transport=polling&sid={socket}"))
            .header(CONTENT_TYPE, "text/plain;charset=UTF-8")
            .body(Body::from("1"));
        let routes = self.routes.clone();
        tokio::spawn(async move {
            if let Ok(request) = request {
                // Who is gone already needs no end.
                let _ = routes.oneshot(request).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use axum::serve::Listener as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::Lines;

    /// What would be lost: memory, to anybody who asks for upgrades of sockets that there are not.
    #[tokio::test]
    async fn only_a_socket_that_was_upgraded_is_remembered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (_connection, line) = Lines::new(listener).accept().await;
        for (status, remembered) in [(StatusCode::BAD_REQUEST, 0), (StatusCode::SWITCHING_PROTOCOLS, 1)] {
            let upgraded = Upgraded::default();
            let routes = Router::new()
                .route("/socket.io/", get(async move || status))
                .layer(from_fn_with_state(upgraded.clone(), remember));
            let mut request = Request::get(format!("/socket.io/?EIO=4&transport=websocket&sid={}", Sid::new()))
                .body(Body::empty())
                .expect("a request");
            request.extensions_mut().insert(ConnectInfo(line.clone()));
            assert_eq!(routes.oneshot(request).await.expect("an answer").status(), status);
            assert_eq!(upgraded.with(|lines| lines.len()), remembered, "{status}");
        }
    }

    #[test]
    fn only_an_upgrade_names_its_socket() {
        let sid = Sid::new();
        assert_eq!(upgrading(&format!("EIO=4&transport=websocket&sid={sid}")), Some(sid));
        assert_eq!(upgrading(&format!("EIO=4&transport=polling&sid={sid}")), None);
        assert_eq!(upgrading("EIO=4&transport=websocket"), None);
        assert_eq!(upgrading("EIO=4&transport=websocket&sid=x"), None);
    }
}
