//! A TCP proxy between a program under test and its server, for the faults that only a network has. It knows nothing of
//! what goes through, so that one proxy serves every server, TLS or not.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Read at once; larger answers come in several.
const CHUNK: usize = 64 * 1024;

/// What is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every connection stays up and nothing comes through, nor through new ones, which are accepted: a server that hangs.
    /// Connections that lived through this never carry anything again.
    Hang,
    /// The same for the connections there are, while new ones work: what a firewall has forgotten, or a node that is gone.
    Forget,
    /// Every connection is reset, and each new one as soon as it is made.
    Reset,
    /// The server's answers take so much longer.
    Slow(Duration),
}

/// A running proxy; it ends, with all its connections, when dropped.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of a port of this machine, with nothing wrong.
    ///
    /// # Panics
    /// When no port is free.
    #[expect(clippy::expect_used, reason = "a test without its proxy has failed")]
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let (fault, faults) = watch::channel(Fault::None);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = faults.clone();
                // Ends with its connection, or when the proxy and so the sender of faults is dropped.
                tokio::spawn(async move { carry(client, port, faults).await.unwrap_or_default() });
            }
        });
        Self { address, fault, task }
    }

    /// Where to connect instead of the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this is wrong.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, port: u16, mut faults: watch::Receiver<Fault>) -> io::Result<()> {
    let mut fault = *faults.borrow_and_update();
    // A connection made after others were forgotten is not among them.
    let mut dead = fault == Fault::Hang;
    if fault == Fault::Reset {
        return client.set_zero_linger();
    }
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut on_the_way, mut server_ended) = (VecDeque::<(Instant, Vec<u8>)>::new(), false);
    loop {
        let next = on_the_way.front().map_or_else(Instant::now, |(due, _)| *due);
        tokio::select! {
            biased;
            changed = faults.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                fault = *faults.borrow_and_update();
                match fault {
                    Fault::Reset => return client.set_zero_linger(),
                    Fault::Hang | Fault::Forget => dead = true,
                    Fault::None | Fault::Slow(_) => {}
                }
            }
            read = client.read(&mut asked) => match read? {
                0 => return Ok(()),
                _ if dead => {}
                length => server.write_all(asked.get(..length).unwrap_or_default()).await?,
            },
            read = server.read(&mut answered), if !server_ended => match read? {
                0 if dead => server_ended = true,
                0 if on_the_way.is_empty() => return Ok(()),
                0 => server_ended = true,
                length => {
                    let late = if let Fault::Slow(late) = fault { late } else { Duration::ZERO };
                    on_the_way.push_back((Instant::now() + late, answered.get(..length).unwrap_or_default().to_vec()));
                }
            },
            () = sleep_until(next), if !on_the_way.is_empty() => {
                let (_, bytes) = on_the_way.pop_front().unwrap_or_else(|| (next, Vec::new()));
                if !dead {
                    client.write_all(&bytes).await?;
                }
                if server_ended && on_the_way.is_empty() && !dead {
                    return Ok(());
                }
            }
        }
    }
}
