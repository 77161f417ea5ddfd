//! The listener: who connects is served over HTTP/1.1 until told to stop. What axum's own does not have: an end to waiting
//! for a request's head, so that a client who sends it a byte a minute (slowloris) holds nothing for long. How many there
//! may be at once is for the listener that accepts them.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Longest wait for the head of a request, counted from the one before: an idle connection ends with it, too. Longer than
/// the 60 s for which common proxies (ingress-nginx, AWS load balancers) keep an idle connection, so that it is the proxy
/// who closes, and no request ever meets a connection that is just being closed.
pub const HEAD: Duration = Duration::from_secs(75);

/// Serves until told to stop, and then until every request that had begun is answered. Handlers find who called as
/// [`ConnectInfo`].
pub async fn serve<L>(
    mut listener: L,
    routes: Router,
    head: Duration,
    stop: CancellationToken,
) -> Result<(), Infallible>
where
    L: Listener<Addr: Clone + Send + Sync + 'static>,
{
    let connections = TaskTracker::new();
    loop {
        let (stream, from) = tokio::select! {
            next = listener.accept() => next,
            () = stop.cancelled() => break,
        };
        connections.spawn(connection(stream, from, routes.clone(), head, stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection<I, A>(stream: I, from: A, routes: Router, head: Duration, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Clone + Send + Sync + 'static,
{
    let routes = routes.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from.clone()));
        request
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).with_upgrades();
    let mut served = pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::http::Lines;

    const SOON: Duration = Duration::from_secs(20);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

    async fn start(routes: Router, head: Duration) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        start_with_room_for(10, routes, head).await
    }

    async fn start_with_room_for(
        connections: usize,
        routes: Router,
        head: Duration,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let (listener, stop) = (TcpListener::bind("127.0.0.1:0").await.expect("a port"), CancellationToken::new());
        let address = listener.local_addr().expect("an address");
        let serving = serve(Lines::bounded(listener, connections), routes, head, stop.clone());
        (address, stop, tokio::spawn(async { serving.await.unwrap_or_else(|never| match never {}) }))
    }

    #[tokio::test]
    async fn a_client_that_never_ends_its_head_is_let_go() {
        let (address, _stop, _serving) =
            start(Router::new().route("/", get(async || "hello")), Duration::from_millis(200)).await;
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.expect("written");
        let mut answer = Vec::new();
        timeout(SOON, client.read_to_end(&mut answer)).await.expect("closed in time").expect("closed in order");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }

    /// What would be lost: the bound on connections, to those that stay longest.
    #[tokio::test]
    async fn what_became_a_websocket_still_counts() {
        let over = CancellationToken::new();
        let end = over.clone();
        let upgrade = get(async move |mut request: axum::extract::Request| {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = upgraded.await;
                end.cancelled().await;
                drop(stream);
            });
            (axum::http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "test")])
        });
        let routes = Router::new().route("/upgrade", upgrade).route("/", get(async || "hello"));
        let (address, _stop, _serving) = start_with_room_for(1, routes, HEAD).await;
        let mut socket = TcpStream::connect(address).await.expect("connected");
        let request = b"GET /upgrade HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n";
        socket.write_all(request).await.expect("written");
        let mut answer = [0; 12];
        timeout(SOON, socket.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 101");
        let mut next = TcpStream::connect(address).await.expect("the kernel takes it");
        next.write_all(REQUEST).await.expect("written");
        let early = timeout(Duration::from_millis(300), next.read_exact(&mut answer)).await;
        assert!(early.is_err(), "there is no room: {answer:?}");
        over.cancel();
        timeout(SOON, next.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn a_request_that_has_begun_is_answered_although_the_server_stops() {
        let (tell, mut begun) = mpsc::channel(1);
        let go_on = CancellationToken::new();
        let wait = go_on.clone();
        let handler = get(async move || {
            tell.send(()).await.expect("the test waits");
            wait.cancelled().await;
            "done"
        });
        let (address, stop, serving) = start(Router::new().route("/", handler), HEAD).await;
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(REQUEST).await.expect("written");
        begun.recv().await.expect("the request has begun");
        stop.cancel();
        go_on.cancel();
        let mut answer = String::new();
        timeout(SOON, client.read_to_string(&mut answer)).await.expect("closed in time").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        timeout(SOON, serving).await.expect("ends in time").expect("ends well");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
