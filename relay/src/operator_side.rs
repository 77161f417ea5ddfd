//! The operator's side of the relay: it reads statuses, makes and removes the sessions' users, and clears what is left.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use redis::AsyncCommands;
use tokio::sync::Notify;

use crate::acl::{acl_rules, hash};
use crate::api_side::read_status;
use crate::connection::Redis;
use crate::envelope::Envelope;
use crate::error::RelayError;
use crate::ids::ConnectionId;
use crate::lease::Lease;
use crate::names::{ALL_KEYS, Names, STATUS_CHANNELS};
use crate::status::SessionStatus;

/// Keys that Redis looks at for one answer: a millisecond of its time, and 60 answers for 10,000 connections. With Redis'
/// own ten a slow way to it would make the walk last for hours.
const KEYS_AT_ONCE: usize = 1000;

/// Between two writes of Redis' file of users, each of which writes all of them and holds Redis up meanwhile.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// After one that failed.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// The relay as the operator sees it. Clones share what they know.
#[derive(Clone)]
pub struct OperatorRelay {
    redis: Redis,
    may_change: Arc<dyn Fn() -> bool + Send + Sync>,
    given: Arc<Given>,
}

/// The users as this process has set them, so that what is set to what it was is not written to the file again.
#[derive(Default)]
struct Given {
    users: Mutex<Users>,
    /// The file is behind.
    changed: Notify,
}

#[derive(Default)]
struct Users {
    rules: HashMap<ConnectionId, u64>,
    /// Set or removed since the file was written.
    unsaved: BTreeSet<ConnectionId>,
    /// Those of a write that failed: Redis may have been started anew since, with the file of before.
    doubtful: BTreeSet<ConnectionId>,
}

impl Given {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, connection: ConnectionId, rules: &[String]) {
        let mut hasher = DefaultHasher::new();
        rules.hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.users().rules.insert(connection, hash);
        if before != Some(hash) {
            self.unsaved([connection]);
        }
    }

    fn removed(&self, connection: ConnectionId) {
        self.users().rules.remove(&connection);
        self.unsaved([connection]);
    }

    fn unsaved(&self, connections: impl IntoIterator<Item = ConnectionId>) {
        self.users().unsaved.extend(connections);
        self.changed.notify_one();
    }

    /// Redis has these and no others.
    fn seen(&self, users: &BTreeSet<ConnectionId>) {
        self.users().rules.retain(|connection, _| users.contains(connection));
    }
}

impl OperatorRelay {
    /// Pattern of the channels that say that a status changed.
    pub const STATUS: &'static str = STATUS_CHANNELS;

    /// On a connection of a user that may manage users and touch all keys.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, may_change: Arc::new(|| true), given: Arc::default() }
    }

    /// The same, but it refuses to change anything while `may_change` says no.
    #[must_use]
    pub fn changing_while(self, may_change: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { may_change: Arc::new(may_change), ..self }
    }

    fn changing(&mut self) -> Result<&mut Redis, RelayError> {
        if (self.may_change)() { Ok(&mut self.redis) } else { Err(RelayError::MayNotChange) }
    }

    /// The newest status; nothing when the session never spoke.
    pub async fn status(&mut self, connection: ConnectionId) -> Result<Option<Envelope<SessionStatus>>, RelayError> {
        read_status(&mut self.redis, connection).await
    }

    /// The pod, by UID, whose session holds the lease and renews it; nothing when nobody does. A lease that is longer than any
    /// that was just renewed, because the clock of Redis was set back, is one of which that is not known.
    pub async fn lease_holder(&mut self, connection: ConnectionId) -> Result<Option<String>, RelayError> {
        let lease = Names(connection).lease();
        let (held, left): (Option<String>, i64) =
            redis::pipe().get(&lease).pttl(&lease).query_async(&mut self.redis).await?;
        let overlong = u128::try_from(left).is_ok_and(|left| left > Lease::TIME_TO_LIVE.as_millis());
        Ok(held.filter(|_| !overlong).and_then(|held| held.split('#').next().map(str::to_owned)))
    }

    /// Makes the user of a session, or sets it to exactly these rights and these passwords, each of which lets it in.
    pub async fn allow(&mut self, connection: ConnectionId, passwords: &[&str]) -> Result<(), RelayError> {
        let rules = acl_rules(connection, passwords);
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(Names(connection).user()).arg(&rules);
        let _: () = command.query_async(self.changing()?).await?;
        self.given.set(connection, &rules);
        Ok(())
    }

    /// Whether one of these passwords lets the session in; nothing when it has no user.
    pub async fn admits(&mut self, connection: ConnectionId, passwords: &[&str]) -> Result<Option<bool>, RelayError> {
        let mut command = redis::cmd("ACL");
        command.arg("GETUSER").arg(Names(connection).user());
        let user: Option<HashMap<String, redis::Value>> = command.query_async(&mut self.redis).await?;
        let Some(known) = user.and_then(|mut user| user.remove("passwords")) else { return Ok(None) };
        let known: BTreeSet<String> = redis::from_redis_value(known).map_err(redis::RedisError::from)?;
        Ok(Some(passwords.iter().any(|password| known.contains(&hash(password)))))
    }

    /// Writes the users to Redis' own file, where it has one, whenever they have changed, until `stop`: so that sessions can go
    /// on after a restart of Redis. Where it has none the users live as long as its process.
    pub async fn keep_users(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        loop {
            let given = self.given.clone();
            tokio::select! {
                () = given.changed.notified() => {}
                () = &mut stop => break,
            }
            let pause = if self.save().await { SAVE_EVERY } else { SAVE_AGAIN };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = &mut stop => break,
            }
        }
        if !self.unsaved().is_empty() {
            self.save().await;
        }
    }

    /// Has the file written soon: another process may have changed users and ended before it came to that.
    pub fn save_users(&self) {
        self.given.changed.notify_one();
    }

    /// The connections whose users a Redis that restarts now would not have as they were set last.
    #[must_use]
    pub fn unsaved(&self) -> BTreeSet<ConnectionId> {
        self.given.users().unsaved.clone()
    }

    /// The connections whose users Redis may not have as they were set last, told once: those of a write of the file that
    /// failed, and those that were not written yet if it `was_restarted`.
    #[must_use]
    pub fn take_doubtful(&self, was_restarted: bool) -> BTreeSet<ConnectionId> {
        let mut users = self.given.users();
        let mut doubtful = std::mem::take(&mut users.doubtful);
        if was_restarted {
            doubtful.extend(&users.unsaved);
        }
        doubtful
    }

    /// Whether the file is written, or there is none.
    async fn save(&mut self) -> bool {
        // What is set meanwhile may or may not be in it.
        let unsaved = std::mem::take(&mut self.given.users().unsaved);
        let saved: Result<(), _> = redis::cmd("ACL").arg("SAVE").query_async(&mut self.redis).await;
        match saved {
            Ok(()) => true,
            Err(error) if error.detail().is_some_and(|said| said.contains("not configured to use an ACL file")) => {
                tracing::debug!("Redis has no file for users");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "Redis' file of users was not written; trying again");
                self.given.users().doubtful.extend(&unsaved);
                self.given.unsaved(unsaved);
                false
            }
        }
    }

    /// Removes the user of a connection, which ends its Redis connections, and then everything that it left behind.
    pub async fn forget(&mut self, connection: ConnectionId) -> Result<(), RelayError> {
        let names = Names(connection);
        let _: u64 = redis::cmd("ACL").arg("DELUSER").arg(names.user()).query_async(self.changing()?).await?;
        self.given.removed(connection);
        Ok(self.changing()?.del(&names.all_keys()[..]).await?)
    }

    /// The connections that have a user.
    pub async fn users(&mut self) -> Result<BTreeSet<ConnectionId>, RelayError> {
        let users: Vec<String> = redis::cmd("ACL").arg("USERS").query_async(&mut self.redis).await?;
        let users = users.iter().filter_map(|user| Names::of_user(user)).map(|names| names.0).collect();
        self.given.seen(&users);
        Ok(users)
    }

    /// The connections that have a user or any key. Walks all keys; for the sweep, not for every reconcile.
    pub async fn known(&mut self) -> Result<BTreeSet<ConnectionId>, RelayError> {
        let mut known = self.users().await?;
        let pages = redis::ScanOptions::default().with_pattern(ALL_KEYS).with_count(KEYS_AT_ONCE);
        let mut keys = self.redis.scan_options::<String>(pages).await?;
        while let Some(key) = keys.next().await {
            known.extend(Names::of_key(&key?).map(|names| names.0));
        }
        Ok(known)
    }
}
