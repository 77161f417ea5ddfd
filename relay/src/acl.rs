//! What a session pod may do in Redis: its own keys and channels, the few commands it needs, nothing else.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::ids::ConnectionId;
use crate::names::Names;

/// The commands that a session needs: its streams, its keys, its scripts (whose inner calls are checked again), pub/sub.
const COMMANDS: [&str; 16] = [
    "+xadd",
    "+xread",
    "+xdel",
    "+xinfo|stream",
    "+get",
    "+set",
    "+del",
    "+incr",
    "+time",
    "+pttl",
    "+eval",
    "+publish",
    "+subscribe",
    "+unsubscribe",
    "+ping",
    "+auth",
];

/// Name and password of a Redis user.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    password: String,
}

impl Credentials {
    /// For a user that exists or will be made.
    #[must_use]
    pub const fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    /// For the session pod of a connection.
    #[must_use]
    pub fn of_session(connection: ConnectionId, password: String) -> Self {
        Self::new(Names(connection).user(), password)
    }

    /// The password. Only for a connection or a Secret.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// As Redis keeps it.
pub(crate) fn hash(password: &str) -> String {
    hex::encode(Sha256::digest(password.as_bytes()))
}

/// The rules for `ACL SETUSER`, complete: whatever the user could do before is taken away first. Passwords are given
/// as its hash, so that it stands neither in Redis' log nor in MONITOR. Connections that are logged in stay so, whatever
/// happens to the password that they used.
#[must_use]
pub fn acl_rules(connection: ConnectionId, passwords: &[&str]) -> Vec<String> {
    let names = Names(connection);
    let mut rules: Vec<String> = ["reset", "resetchannels", "on"].map(str::to_owned).into();
    rules.extend(passwords.iter().map(|password| format!("#{}", hash(password))));
    rules.extend(names.all_keys().map(|key| format!("~{key}")));
    rules.extend(
        [names.wake_events(), names.wake_commands(), names.status_channel(), names.live_channel()]
            .map(|channel| format!("&{channel}")),
    );
    rules.extend(COMMANDS.map(str::to_owned));
    rules
}
