//! What every reconcile shares.

use kube::Client;
use kube::runtime::events::Recorder;
use relay::OperatorRelay;

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
}
