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

/// The credentials in a Secret of ours; nothing when somebody has emptied it, or written another's name into it.
#[must_use]
pub fn credentials(connection: &ValidConnection, secret: &Secret) -> Option<Credentials> {
    let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    let credentials = Credentials::of_session(connection.id, text(PASSWORD).filter(|password| !password.is_empty())?);
    (text(USERNAME).as_ref() == Some(&credentials.user)).then_some(credentials)
}
