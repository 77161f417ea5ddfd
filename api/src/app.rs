//! The parts that everything works with. Background tasks hold them; a handler cannot: it gets a
//! [`crate::auth::Tenant`], and with it what is its company's own.

use std::sync::Arc;
use std::time::Duration;

use relay::{ApiRelay, RelayError};

use crate::fleet::Fleet;
use crate::problem::{Code, Problem};
use crate::replicas::Replicas;
use crate::store::Store;

/// Longest wait of a request for Redis. It answers in a millisecond, or in seconds when it is in trouble: a command takes
/// two answers. Past this it counts as away.
const RELAY: Duration = Duration::from_secs(5);

/// Database, cluster and Redis. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    store: Store,
    fleet: Fleet,
    relay: ApiRelay,
    replicas: Replicas,
}

impl App {
    /// Of its parts.
    #[must_use]
    pub fn new(store: Store, fleet: Fleet, relay: ApiRelay, replicas: Replicas) -> Self {
        Self(Arc::new(Parts { store, fleet, relay, replicas }))
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The connections.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// Who of the replicas does what.
    #[must_use]
    pub fn replicas(&self) -> &Replicas {
        &self.0.replicas
    }

    /// Redis, on a handle of the caller's own.
    #[must_use]
    pub fn relay(&self) -> ApiRelay {
        self.0.relay.clone()
    }

    /// What Redis answers, or a 503 when it does not in time.
    pub async fn ask_relay<T>(
        &self,
        call: impl AsyncFnOnce(&mut ApiRelay) -> Result<T, RelayError>,
    ) -> Result<T, Problem> {
        let mut relay = self.relay();
        match tokio::time::timeout(RELAY, call(&mut relay)).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => Err(Problem::unavailable(Code::RelayUnavailable, &elapsed)),
        }
    }
}
