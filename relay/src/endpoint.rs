//! Where Redis is and how it is spoken to: every call has a deadline, every lost connection is made again.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo};

use crate::acl::Credentials;
use crate::error::RelayError;

/// Longest wait for an answer. A busy Redis answers in milliseconds; a dead one must not hold a reconcile or a send.
const RESPONSE: Duration = Duration::from_secs(3);

/// Longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(3);

/// Tries of one reconnect before its caller gets the error; between them 0.1 to 1 s.
const RETRIES: usize = 3;

/// The cheap-to-clone connection that everything but subscriptions shares.
pub type Redis = ConnectionManager;

/// Address and credentials of one Redis user. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Endpoint(Client);

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(self.0.get_connection_info().addr()).finish()
    }
}

impl Endpoint {
    /// From a URL such as `redis://host:6379/` or `rediss://…`; `credentials` replace those in the URL.
    pub fn new(url: &str, credentials: Option<&Credentials>) -> Result<Self, RelayError> {
        let info = url.into_connection_info()?;
        // CLIENT SETINFO is unknown to Redis 7.0, whose ACL log would fill with refusals of it.
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(credentials) = credentials {
            settings = settings.set_username(&credentials.user).set_password(credentials.password());
        }
        Ok(Self(Client::open(info.set_redis_settings(settings))?))
    }

    /// A connection that connects when it is first used and again whenever it was lost.
    pub fn connect(&self) -> Result<Redis, RelayError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(RETRIES)
            .set_min_delay(Duration::from_millis(100))
            .set_max_delay(Duration::from_secs(1));
        Ok(ConnectionManager::new_lazy_with_config(self.0.clone(), config)?)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0
    }

    /// Host and port, for log lines and network policies.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.get_connection_info().addr().to_string()
    }
}
