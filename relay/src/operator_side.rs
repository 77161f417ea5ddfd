//! The operator's side of the relay: it reads statuses, makes and removes the sessions' users, and clears what is left.

use std::collections::BTreeSet;

use futures::StreamExt;
use redis::AsyncCommands;

use crate::acl::{Credentials, acl_rules};
use crate::api_side::read_status;
use crate::endpoint::Redis;
use crate::envelope::Envelope;
use crate::error::RelayError;
use crate::ids::ConnectionId;
use crate::names::{ALL_KEYS, Names, STATUS_CHANNELS};
use crate::status::SessionStatus;

/// The relay as the operator sees it.
#[derive(Clone)]
pub struct OperatorRelay(Redis);

impl OperatorRelay {
    /// Pattern of the channels that say that a status changed.
    pub const STATUS: &'static str = STATUS_CHANNELS;

    /// On a connection of a user that may manage users and touch all keys.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// The newest status; nothing when the session never spoke.
    pub async fn status(&mut self, connection: ConnectionId) -> Result<Option<Envelope<SessionStatus>>, RelayError> {
        read_status(&mut self.0, connection).await
    }

    /// The pod, by UID, whose session holds the lease; nothing when nobody does.
    pub async fn lease_holder(&mut self, connection: ConnectionId) -> Result<Option<String>, RelayError> {
        let held: Option<String> = self.0.get(Names(connection).lease()).await?;
        Ok(held.and_then(|held| held.split('#').next().map(str::to_owned)))
    }

    /// Makes the user of a session, or sets it to exactly these rights and this password.
    pub async fn allow(&mut self, connection: ConnectionId, credentials: &Credentials) -> Result<(), RelayError> {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(&credentials.user).arg(acl_rules(connection, credentials.password()));
        let _: () = command.query_async(&mut self.0).await?;
        self.save().await;
        Ok(())
    }

    /// Writes the users to Redis' own file, where it has one, so that sessions can go on after a restart of Redis. Where it
    /// has none the users live as long as the process, and that is no error of this call.
    async fn save(&mut self) {
        let saved: Result<(), _> = redis::cmd("ACL").arg("SAVE").query_async(&mut self.0).await;
        if let Err(error) = saved {
            tracing::debug!(%error, "users were not saved");
        }
    }

    /// Removes the user of a connection, which ends its Redis connections, and then everything that it left behind.
    pub async fn forget(&mut self, connection: ConnectionId) -> Result<(), RelayError> {
        let names = Names(connection);
        let _: u64 = redis::cmd("ACL").arg("DELUSER").arg(names.user()).query_async(&mut self.0).await?;
        self.save().await;
        Ok(self.0.del(&names.all_keys()[..]).await?)
    }

    /// The connections that have a user.
    pub async fn users(&mut self) -> Result<BTreeSet<ConnectionId>, RelayError> {
        let users: Vec<String> = redis::cmd("ACL").arg("USERS").query_async(&mut self.0).await?;
        Ok(users.iter().filter_map(|user| Names::of_user(user)).map(|names| names.0).collect())
    }

    /// The connections that have a user or any key. Walks all keys; for the sweep, not for every reconcile.
    pub async fn known(&mut self) -> Result<BTreeSet<ConnectionId>, RelayError> {
        let mut known = self.users().await?;
        let mut keys = self.0.scan_match::<_, String>(ALL_KEYS).await?;
        while let Some(key) = keys.next().await {
            known.extend(Names::of_key(&key?).map(|names| names.0));
        }
        Ok(known)
    }
}
