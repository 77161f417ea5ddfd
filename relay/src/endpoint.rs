//! Where Redis is and how it is spoken to: every call has a deadline, every lost connection is made again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::acl::Credentials;
use crate::connection::Redis;
use crate::credential_files::CredentialFiles;
use crate::error::RelayError;

/// Longest wait for an answer. A busy Redis answers in milliseconds; a dead one must not hold a reconcile or a send.
const RESPONSE: Duration = Duration::from_secs(3);

/// Longest wait for a connection, with TLS and the greetings: some four answers, each of which may take the 2 s of a Redis
/// in trouble.
const CONNECT: Duration = Duration::from_secs(10);

/// Tries of one reconnect before its caller gets the error; between them 0.1 to 1 s.
const RETRIES: usize = 3;

/// A subscription only reads, so nothing but these probes finds that its peer is gone without a word (a lost node, a
/// forgetful NAT): after 15 s of silence and 3 probes 5 s apart, hence within 30 s.
const IDLE: Duration = Duration::from_secs(15);
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Longest wait for the peer to acknowledge what was written. The same 30 s: in Linux this one also ends the probes.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Address and credentials of one Redis user. Its `Debug` shows only the address.
#[derive(Clone)]
pub struct Endpoint {
    info: ConnectionInfo,
    login: Login,
    authorities: Option<Vec<u8>>,
}

#[derive(Clone)]
enum Login {
    /// What the URL says, or nobody.
    Url,
    /// These, for ever.
    Fixed(Credentials),
    /// Whatever the files say when a connection is made.
    Files(CredentialFiles),
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(self.info.addr()).finish()
    }
}

/// Who may have signed the certificate of a Redis: public authorities, or those of a PEM text, one or several.
#[derive(Clone, Default)]
pub struct Authorities(Option<Vec<u8>>);

impl FromStr for Authorities {
    type Err = &'static str;

    /// Empty means public ones.
    fn from_str(pem: &str) -> Result<Self, Self::Err> {
        if pem.trim().is_empty() {
            return Ok(Self(None));
        }
        // A client would trust nobody, and say so at its first call.
        match CertificateDer::pem_slice_iter(pem.as_bytes()).next() {
            Some(Ok(_)) => Ok(Self(Some(pem.as_bytes().to_vec()))),
            Some(Err(_)) | None => Err("must be certificates in PEM"),
        }
    }
}

impl Endpoint {
    /// From a URL such as `redis://host:6379/` or `rediss://…`; `credentials` replace those in the URL. With TLS the
    /// server's certificate must come from a public authority (the roots are those of Mozilla, compiled in), or from one of
    /// [`Self::trusting`].
    pub fn new(url: &str, credentials: Option<&Credentials>) -> Result<Self, RelayError> {
        Self::with_login(url, credentials.map_or(Login::Url, |credentials| Login::Fixed(credentials.clone())))
    }

    /// With the credentials that stand in the files `username` and `password` of a folder, read anew for each connection
    /// and, once they differ, given to the connections there are: that is how a rotated password reaches a session.
    pub fn with_credentials_in(url: &str, folder: PathBuf) -> Result<Self, RelayError> {
        Self::with_login(url, Login::Files(CredentialFiles::new(folder)))
    }

    fn with_login(url: &str, login: Login) -> Result<Self, RelayError> {
        let info = url.into_connection_info()?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // The client takes the process's provider. Failing means that there is one already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        // CLIENT SETINFO is unknown to Redis 7.0, whose ACL log would fill with refusals of it.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let endpoint =
            Self { info: info.set_redis_settings(settings).set_tcp_settings(tcp()), login, authorities: None };
        // A URL that makes no client is told now, not at the first call.
        endpoint.client()?;
        Ok(endpoint)
    }

    /// With TLS, only certificates of these authorities are accepted.
    pub fn trusting(self, authorities: Authorities) -> Result<Self, RelayError> {
        let endpoint = Self { authorities: authorities.0, ..self };
        endpoint.client()?;
        Ok(endpoint)
    }

    /// A connection that connects when it is first used and again whenever it was lost.
    pub fn connect(&self) -> Result<Redis, RelayError> {
        Redis::new(self.clone())
    }

    /// What connects, and again after I/O errors; [`Redis`] does the rest.
    pub(crate) fn manager(&self) -> Result<ConnectionManager, RelayError> {
        let mut config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(RETRIES)
            .set_min_delay(Duration::from_millis(100))
            .set_max_delay(Duration::from_secs(1));
        if let Login::Files(files) = &self.login {
            config = config.set_credentials_provider(files.clone());
        }
        Ok(ConnectionManager::new_lazy_with_config(self.client()?, config)?)
    }

    /// A client with the credentials as they are now.
    pub(crate) fn client(&self) -> RedisResult<Client> {
        let credentials = match &self.login {
            Login::Url => None,
            Login::Fixed(credentials) => Some(credentials.clone()),
            Login::Files(files) => Some(files.read()?),
        };
        let mut info = self.info.clone();
        if let Some(credentials) = credentials {
            let settings = info.redis_settings().clone();
            let settings = settings.set_username(&credentials.user).set_password(credentials.password());
            info = info.set_redis_settings(settings);
        }
        Ok(match &self.authorities {
            Some(pem) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })?
            }
            None => Client::open(info)?,
        })
    }

    /// Host and port, for log lines and network policies.
    #[must_use]
    pub fn address(&self) -> String {
        self.info.addr().to_string()
    }
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(PROBE).with_retries(PROBES);
    TcpSettings::default().set_keepalive(keepalive).set_user_timeout(UNACKNOWLEDGED)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What would be lost: an API that hears again after the node of its Redis was lost.
    #[tokio::test]
    async fn a_silent_connection_is_probed() {
        let redis = harness::Redis::start().await;
        let endpoint = Endpoint::new(&redis.url(), None).unwrap();
        let pubsub = endpoint.client().unwrap().get_async_pubsub().await.unwrap();
        // One line for each socket; the client's has Redis' port as its peer, state 01, and its timer in the sixth field.
        let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let peer = format!("0100007F:{:04X}", redis.port());
        let timers: Vec<&str> = sockets
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields.get(2) == Some(&peer.as_str()) && fields.get(3) == Some(&"01"))
            .filter_map(|fields| fields.get(5).copied())
            .collect();
        let [timer] = timers.as_slice() else { panic!("one connection, not {timers:?}") };
        let (kind, ticks) = timer.split_once(':').unwrap();
        assert_eq!(kind, "02", "the keepalive timer runs");
        assert!(u64::from_str_radix(ticks, 16).unwrap() <= IDLE.as_secs() * 100, "{timer}");
        drop(pubsub);
    }
    /// The handshake begins: a server that is none of TLS is answered with a hello, and no word of Redis.
    #[tokio::test]
    async fn rediss_speaks_tls() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rediss://{}/", listener.local_addr().unwrap());
        let endpoint = Endpoint::new(&url, None).unwrap();
        let dial = tokio::spawn(async move { endpoint.client().unwrap().get_async_pubsub().await.is_err() });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 2];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(first, [0x16, 0x03], "a TLS handshake record");
        drop(stream);
        assert!(dial.await.unwrap());
    }
}
