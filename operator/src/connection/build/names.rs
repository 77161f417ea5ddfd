//! The names of a connection's objects. The pod takes the connection's own name, so that the API server itself refuses
//! a second pod for one account.

/// The claim of the volume that holds the browser profile.
#[must_use]
pub fn claim(connection: &str) -> String {
    format!("{connection}-profile")
}

/// The Secret that holds the session's Redis credentials.
#[must_use]
pub fn secret(connection: &str) -> String {
    format!("{connection}-relay")
}
