//! What every reconcile shares.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use kube::Client;
use kube::runtime::events::Recorder;
use relay::{ConnectionId, OperatorRelay};

use crate::backoff::Ledger;
use crate::pace::Pace;
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
    /// Pods made for each connection lately.
    pub attempts: Ledger,
    /// Failed reconciles of each connection lately.
    pub failures: Ledger,
    /// Status writes.
    pub pace: Pace,
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

    /// Whether it is marked.
    pub fn contains(&self, id: &ConnectionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Clears the mark.
    pub fn remove(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
