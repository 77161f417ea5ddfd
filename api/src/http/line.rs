//! A client's connection, with a handle to hang it up from elsewhere: once it is a WebSocket, nobody else can end one
//! whose client takes nothing any more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A client that acknowledges nothing, or takes nothing of what waits for it, for this long is gone. Without an end the
/// kernel would keep it, and all that waits for it, for a quarter of an hour, and for ever while it says that it is full.
const UNTAKEN: Duration = Duration::from_secs(30);

/// Connections at once, sockets among them: some 30 KiB each make 300 MiB at most, and many clients leave no replica without
/// file descriptors. Whoever is next waits in the kernel's queue.
const CONNECTIONS: usize = 10_000;

/// A connection that was accepted.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    /// Its place among [`CONNECTIONS`]. It is here because what becomes a WebSocket leaves the server with its stream.
    _slot: Option<OwnedSemaphorePermit>,
}

/// The handle of a connection. It does not keep it open.
#[derive(Debug, Clone)]
pub struct Line(Weak<TcpStream>);

impl Connection {
    /// Without delays, and with an end to what nobody takes.
    #[must_use]
    pub fn new(stream: TcpStream, slot: Option<OwnedSemaphorePermit>) -> Self {
        // Without it small answers wait for the client's delayed acknowledgement: up to 40 ms each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        if let Err(error) = set_tcp_user_timeout(&stream, u32::try_from(UNTAKEN.as_millis()).unwrap_or(u32::MAX)) {
            tracing::debug!(%error, "TCP_USER_TIMEOUT not set");
        }
        Self { stream: Arc::new(stream), _slot: slot }
    }

    /// Its handle.
    #[must_use]
    pub fn line(&self) -> Line {
        Line(Arc::downgrade(&self.stream))
    }
}

impl Line {
    /// Ends the connection, whatever waits in it: both of its ends see that.
    pub fn hang_up(&self) {
        if let Some(stream) = self.0.upgrade() {
            // It may just have ended by itself.
            let _ = shutdown(&*stream, Shutdown::Both);
        }
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buffer) {
                // It was not ready after all; the next look waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome.map(drop)),
            }
        }
    }
}

impl Connection {
    fn poll_written(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream| stream.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match shutdown(&*self.stream, Shutdown::Write) {
            // The client was first.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

/// A listener that gives such connections, so many at once.
#[derive(Debug)]
pub struct Lines {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

impl Lines {
    /// Of a port.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self::bounded(listener, CONNECTIONS)
    }

    /// With room for so many.
    #[must_use]
    pub fn bounded(listener: TcpListener, connections: usize) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(connections)) }
    }
}

impl Listener for Lines {
    type Io = Connection;
    type Addr = Line;

    async fn accept(&mut self) -> (Connection, Line) {
        // Nobody closes it, so there always is one in the end.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        // Its errors are the peer's, or pass: it waits a second where there is no file descriptor.
        let connection = Connection::new(Listener::accept(&mut self.listener).await.0, slot);
        let line = connection.line();
        (connection, line)
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line(Weak::new()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// What would be lost: the memory of everything that waits for a client that takes nothing, for as long as it likes.
    #[tokio::test]
    async fn a_connection_whose_client_takes_nothing_can_be_hung_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let connection = Connection::new(listener.accept().await.expect("accepted").0, None);
        let line = connection.line();
        let (mut read, mut write) = tokio::io::split(connection);
        let writing = tokio::spawn(async move {
            let bytes = vec![0; 65_536];
            while write.write_all(&bytes).await.is_ok() {}
            drop(write);
        });
        let reading = tokio::spawn(async move { read.read(&mut [0; 1]).await });
        tokio::task::yield_now().await;
        line.hang_up();
        let soon = Duration::from_secs(20);
        timeout(soon, writing).await.expect("the writer ends").expect("without a panic");
        timeout(soon, reading).await.expect("the reader ends").expect("without a panic").expect("in order");
        assert!(!line.is_up(), "the handle keeps nothing open");
    }
}
