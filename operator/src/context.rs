//! What every reconcile shares.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crds::WhatsAppConnection;
use kube::Client;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use relay::{ConnectionId, OperatorRelay};
use tokio::sync::{Notify, mpsc};

use crate::leader::Leadership;
use crate::memory::Memory;
use crate::settings::SessionDefaults;
use crate::watch::Cluster;

/// Clients, caches and ledgers. Nothing in it is global; tests make their own.
pub struct Context {
    /// Whether this process acts or stands by.
    pub leadership: Leadership,
    /// For writes; it lets none pass without leadership.
    pub client: Client,
    /// For Events.
    pub recorder: Recorder,
    /// For reads: what the watches have brought.
    pub cluster: Cluster,
    /// Redis; it changes nothing there without leadership.
    pub relay: OperatorRelay,
    /// What every session pod is made with.
    pub session: SessionDefaults,
    /// What a pod that is to be taken away by force gets besides its grace.
    pub fencing_margin: Duration,
    /// What this process remembers of each connection. After its restart everybody starts afresh.
    pub memory: Memory,
    /// Connections whose user Redis was seen without.
    pub without_access: Marks,
    /// Redis was reached (again): it may have lost users.
    pub redis_is_back: Notify,
    /// Connections to reconcile for a reason that no watch tells.
    pub look_again: mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    /// For whoever deals with a connection's credentials.
    pub turns: Turns,
}

/// Lets one task at a time deal with a connection's credentials. Connections share locks, so that their number is bounded.
pub struct Turns(Vec<tokio::sync::Mutex<()>>);

/// More than reconciles at once, so that two seldom wait for one another.
const LOCKS: u128 = 256;

impl Default for Turns {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn, which lasts until what it gives is dropped.
    pub async fn of(&self, id: &ConnectionId) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let lock = usize::try_from(id.0.as_u128() % LOCKS).ok().and_then(|index| self.0.get(index))?;
        Some(lock.lock().await)
    }
}

/// A set of connections that several tasks mark and clear.
#[derive(Debug, Default)]
pub struct Marks(Mutex<HashSet<ConnectionId>>);

impl Marks {
    /// Marks these and no others.
    pub fn replace(&self, marked: HashSet<ConnectionId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = marked;
    }

    /// Marks one.
    pub fn insert(&self, id: ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Whether it is marked.
    pub fn contains(&self, id: &ConnectionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Clears the mark.
    pub fn remove(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
