//! A connection that is made again whatever ended it. The client's own manager tries again after I/O errors only: one attempt
//! that was answered "wrong password" (a Redis that lost its users, or still loads its data) would be its last, for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};

use crate::endpoint::Endpoint;
use crate::error::RelayError;

/// The cheap-to-clone connection that everything but subscriptions shares.
#[derive(Clone)]
pub struct Redis {
    endpoint: Endpoint,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    manager: ConnectionManager,
    /// Which manager this is, so that of many calls that failed with one only the first replaces it.
    life: u64,
}

impl Redis {
    /// Lazily connected.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, RelayError> {
        let manager = endpoint.manager()?;
        Ok(Self { endpoint, shared: Arc::new(Mutex::new(Shared { manager, life: 0 })) })
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> (ConnectionManager, u64) {
        let shared = self.shared();
        (shared.manager.clone(), shared.life)
    }

    /// Replaces the manager if that error is one after which it does nothing more. The new one connects when it is asked,
    /// with the pauses between tries that every one has.
    fn mend<T>(&self, life: u64, outcome: &Result<T, RedisError>) {
        if !outcome.as_ref().is_err_and(is_final) {
            return;
        }
        // Read before the lock is taken: credentials may come from files.
        match self.endpoint.manager() {
            Ok(manager) => {
                let mut shared = self.shared();
                if shared.life == life {
                    *shared = Shared { manager, life: life.wrapping_add(1) };
                }
            }
            Err(error) => tracing::warn!(%error, "no new connection to Redis can be prepared"),
        }
    }
}

/// What a connection attempt says that was answered and refused. No command of ours gives these.
fn is_final(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Client | ErrorKind::RESP3NotSupported)
}

impl ConnectionLike for Redis {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut manager, life) = self.current();
            let outcome = manager.send_packed_command(command).await;
            self.mend(life, &outcome);
            outcome
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (mut manager, life) = self.current();
            let outcome = manager.send_packed_commands(commands, offset, count).await;
            self.mend(life, &outcome);
            outcome
        })
    }

    fn get_db(&self) -> i64 {
        self.shared().manager.get_db()
    }
}
