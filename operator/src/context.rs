//! What every reconcile shares.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::runtime::events::Recorder;
use relay::{ConnectionId, OperatorRelay};

use crate::memory::Memory;
use crate::settings::SessionDefaults;
use crate::watch::Cluster;

/// Clients, caches and ledgers. Nothing in it is global; tests make their own.
pub struct Context {
    /// For writes.
    pub client: Client,
    /// For Events.
    pub recorder: Recorder,
    /// For reads: what the watches have brought.
    pub cluster: Cluster,
    /// Redis.
    pub relay: OperatorRelay,
    /// What every session pod is made with.
    pub session: SessionDefaults,
    /// What a pod that is to be taken away by force gets besides its grace.
    pub fencing_margin: Duration,
    /// What this process remembers of each connection. After its restart everybody starts afresh.
    pub memory: Memory,
    /// Connections whose user Redis was seen without.
    pub without_access: Marks,
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
