//! The connections, as the cluster has them: read from two watches, written through the Kubernetes API. The custom
//! resource is the truth; nothing of it is stored elsewhere.

mod client;
mod index;
mod watch;
mod write;

pub use client::client;
pub use index::{Change, Index, Known, id_of};
pub use watch::follow;
pub use write::{ClusterError, NewConnection};

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kube::Client;
use relay::{CompanyId, ConnectionId};
use tokio::sync::{broadcast, watch as signal};

/// Changes that wait for a slow listener. Who misses some looks at the index itself.
const CHANGES: usize = 1024;

/// Longest wait until the watch shows what was just written. It takes milliseconds; past this the answer is still
/// right, only a list right after it may be a moment behind.
const SETTLE: Duration = Duration::from_secs(2);

/// The connections of all companies, and the way to change them.
#[derive(Clone)]
pub struct Fleet {
    client: Client,
    index: Arc<RwLock<Index>>,
    turned: Arc<signal::Sender<u64>>,
    changes: broadcast::Sender<Change>,
}

impl Fleet {
    /// Empty until [`follow`] fills it.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let (turned, _) = signal::channel(0);
        let (changes, _) = broadcast::channel(CHANGES);
        Self { client, index: Arc::default(), turned: Arc::new(turned), changes }
    }

    /// The connection of that id, if it is in its company's own namespace.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<Known> {
        self.read(|index| index.connection(id))
    }

    /// A company's connections, the oldest first.
    #[must_use]
    pub fn of_company(&self, company: &CompanyId) -> Vec<Known> {
        self.read(|index| index.of_company(company))
    }

    /// All connections of all companies.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectionId> {
        self.read(Index::all)
    }

    /// Whether a resource of that id is there, in whatever namespace.
    #[must_use]
    pub fn exists(&self, id: ConnectionId) -> bool {
        self.read(|index| index.exists(id))
    }

    /// The namespace of a company.
    #[must_use]
    pub fn namespace_of(&self, company: &CompanyId) -> Option<String> {
        self.read(|index| index.namespace_of(company))
    }

    /// What changes from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Waits until the index shows something, so that who writes then reads what was written.
    pub async fn settled(&self, shows: impl Fn(&Index) -> bool + Send + Sync) {
        let mut turned = self.turned.subscribe();
        let wait = turned.wait_for(|_| self.read(&shows));
        // Neither a late watch nor a closing process makes the write undone.
        let _ = tokio::time::timeout(SETTLE, wait).await;
    }

    fn update(&self, update: impl FnOnce(&mut Index) -> Vec<Change>) {
        let changes = update(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        self.turned.send_modify(|turn| *turn = turn.wrapping_add(1));
        for change in changes {
            // Nobody listening is no error.
            let _ = self.changes.send(change);
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}
