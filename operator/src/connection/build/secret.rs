//! The Secret with the Redis credentials of a session. Mounted as files; never an environment variable.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use relay::Credentials;

use super::{metadata, names};
use crate::connection::validate::ValidConnection;

/// Key of the user's name.
pub const USERNAME: &str = "username";
/// Key of the password.
pub const PASSWORD: &str = "password";
/// Key of the password before that, while both are valid. It is not mounted.
pub const PREVIOUS_PASSWORD: &str = "previous-password";

/// Bytes of randomness in a password.
const PASSWORD_BYTES: usize = 32;

/// What lets a session in.
#[derive(Clone, PartialEq, Eq)]
pub struct Passwords {
    /// What it is given.
    pub current: String,
    /// What it was given before, while it may still use that.
    pub previous: Option<String>,
}

impl Passwords {
    /// All that are valid.
    #[must_use]
    pub fn valid(&self) -> Vec<&str> {
        std::iter::once(self.current.as_str()).chain(self.previous.as_deref()).collect()
    }
}

/// A password that nobody has had.
#[must_use]
pub fn new_password() -> String {
    hex::encode(runtime::ambient::random_bytes::<PASSWORD_BYTES>())
}

/// Key of the proxy's URL, in the Secret that a connection names itself.
pub const PROXY_URL: &str = "url";

/// The Secret for these credentials.
#[must_use]
pub fn secret(connection: &ValidConnection, credentials: &Credentials) -> Secret {
    let data = [(USERNAME, credentials.user.as_str()), (PASSWORD, credentials.password())];
    Secret {
        metadata: metadata(connection, names::secret(&connection.name)),
        string_data: Some(BTreeMap::from(data.map(|(key, value)| (key.to_owned(), value.to_owned())))),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// The passwords in a Secret of ours; nothing when somebody has emptied it.
#[must_use]
pub fn passwords(secret: &Secret) -> Option<Passwords> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.0.clone()).ok().filter(|password| !password.is_empty())
    };
    Some(Passwords { current: text(PASSWORD)?, previous: text(PREVIOUS_PASSWORD) })
}

/// The name in a Secret of ours.
#[must_use]
pub fn username(secret: &Secret) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(USERNAME)?.0.clone()).ok()
}
