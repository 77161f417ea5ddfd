//! A Redis of the test's own: append-only file, ACL file, `noeviction`, as the charts run it.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    ports,
    server::{Recipe, Server},
};

/// Of its block of ports, the one for TLS.
const TLS: u16 = 1;

const PING: Duration = Duration::from_secs(1);

/// A running Redis, empty at first; it ends when dropped.
pub struct Redis {
    server: Option<Server>,
    directory: PathBuf,
    port: u16,
}

impl Redis {
    /// Starts one (0.1 s).
    ///
    /// # Panics
    /// When it does not start; `redis-server` must be installed (`make deps`).
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start() -> Self {
        let port = ports::free_block();
        let directory = configure(port).expect("a directory with redis.conf");
        let mut redis = Self { server: None, directory, port };
        redis.resume().await;
        redis
    }

    /// One that speaks TLS as well, under [`Redis::tls_url`]. Gives the authority (PEM) that has signed its certificate.
    ///
    /// # Panics
    /// When it does not start; `redis-server` must have been built with TLS.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start_with_tls() -> (Self, String) {
        let port = ports::free_block();
        let directory = configure(port).expect("a directory with redis.conf");
        let authority = configure_tls(&directory, port + TLS).expect("a certificate");
        let mut redis = Self { server: None, directory, port };
        redis.resume().await;
        (redis, authority)
    }

    /// The address for TLS, of one that speaks it.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}/", self.port + TLS)
    }

    /// The address as the default user, who may do everything and needs no password. It never changes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port on 127.0.0.1. It never changes.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its configuration, its log and its data lie, until it is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends it in good order: connections break, and nobody listens on the port until [`Redis::resume`].
    ///
    /// # Panics
    /// When it does not end.
    #[expect(clippy::expect_used, reason = "a test that cannot take its server away has failed")]
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.expect("redis-server ends");
        }
    }

    /// Starts it again, with its data, and its users as far as `ACL SAVE` wrote them.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn resume(&mut self) {
        if self.server.is_some() {
            return;
        }
        let mut server = Server::start(Recipe {
            directory: &self.directory,
            user: None,
            signal: "TERM",
            command: vec!["redis-server".to_owned(), self.directory.join("redis.conf").display().to_string()],
            environment: Vec::new(),
        })
        .expect("redis-server starts");
        server.ready(async || ping(self.port).await).await;
        self.server = Some(server);
    }

    /// [`Redis::stop`] and [`Redis::resume`].
    pub async fn restart(&mut self) {
        self.stop().await;
        self.resume().await;
    }
}

/// While it runs the guard of the server deletes the directory; while it is stopped nobody else would.
impl Drop for Redis {
    fn drop(&mut self) {
        if self.server.is_none() {
            // A directory that is left in /tmp fails no test.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn configure(port: u16) -> io::Result<PathBuf> {
    let directory = tempfile::Builder::new().prefix("harness-redis-").tempdir()?.keep();
    fs::write(directory.join("users.acl"), "user default on nopass sanitize-payload ~* &* +@all\n")?;
    let own = directory.display();
    fs::write(
        directory.join("redis.conf"),
        format!(
            "bind 127.0.0.1\nport {port}\ndir {own}\naclfile {own}/users.acl\n\
             appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\n"
        ),
    )?;
    Ok(directory)
}

/// A certificate by an authority that is made for it and forgotten, as a company's own would be.
fn configure_tls(directory: &Path, port: u16) -> Result<String, Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signer = KeyPair::generate()?;
    let certificate = authority.self_signed(&signer)?.pem();
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?;
    let server = server.signed_by(&key, &Issuer::new(authority, signer))?;
    let file = |name: &str| directory.join(name);
    fs::write(file("tls.crt"), server.pem())?;
    fs::write(file("tls.key"), key.serialize_pem())?;
    let own = directory.display();
    let plain = fs::read_to_string(file("redis.conf"))?;
    let settings = format!(
        "{plain}tls-port {port}\ntls-cert-file {own}/tls.crt\ntls-key-file {own}/tls.key\ntls-auth-clients no\n"
    );
    fs::write(file("redis.conf"), settings)?;
    Ok(certificate)
}

/// Spoken by hand: a client library here would be one more for every crate that tests with this.
async fn ping(port: u16) -> Result<(), String> {
    let exchange = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match timeout(PING, exchange).await {
        Ok(Ok(answer)) if &answer == b"+PONG\r\n" => Ok(()),
        Ok(Ok(answer)) => Err(format!("PING answered {:?}", String::from_utf8_lossy(&answer))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("PING not answered".to_owned()),
    }
}
