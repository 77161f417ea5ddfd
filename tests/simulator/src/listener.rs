//! TLS under axum. Handshakes run beside each other, so that a client that is slow at it holds up nobody.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

const HANDSHAKE: Duration = Duration::from_secs(5);
/// Finished handshakes that wait for axum.
const WAITING: usize = 64;
/// After an error of accept, such as too many open files, it is likely to fail again at once.
const AFTER_ERROR: Duration = Duration::from_millis(100);

type Accepted = (TlsStream<TcpStream>, SocketAddr);

/// A listener that gives finished TLS connections.
pub(crate) struct TlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Accepted>,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, tls: TlsAcceptor) -> std::io::Result<Self> {
        let address = tcp.local_addr()?;
        let (sender, accepted) = mpsc::channel(WAITING);
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(tcp, tls, sender)));
        Ok(Self { address, accepted, _accepting: accepting })
    }
}

async fn accept(tcp: TcpListener, tls: TlsAcceptor, accepted: mpsc::Sender<Accepted>) {
    loop {
        match tcp.accept().await {
            Ok((stream, peer)) => {
                let (tls, accepted) = (tls.clone(), accepted.clone());
                tokio::spawn(async move {
                    // A client that does not finish its handshake is its own trouble.
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                        drop(accepted.send((stream, peer)).await);
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The task above never ends by itself; without it there is nothing to accept any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
