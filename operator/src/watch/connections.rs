//! Follows the connections: which there are, and which have gone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLockWriteGuard};

use crds::WhatsAppConnection;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use relay::ConnectionId;
use tokio::sync::mpsc;

use super::cluster::References;

/// The connections to look at, while `references` is kept and `deleted` told.
pub fn follow(
    events: impl Stream<Item = Event<WhatsAppConnection>> + Send + 'static,
    references: References,
    deleted: mpsc::Sender<ConnectionId>,
) -> impl Stream<Item = WhatsAppConnection> + Send + 'static {
    let followed = Arc::new(Followed { references, listed: Mutex::default(), deleted });
    events.filter_map(move |event| {
        let followed = followed.clone();
        async move { followed.follow(event).await }
    })
}

/// Where every connection stands, and which of them the list under way has shown so far.
struct Followed {
    references: References,
    listed: Mutex<HashSet<ConnectionId>>,
    deleted: mpsc::Sender<ConnectionId>,
}

impl Followed {
    /// The connection to reconcile, if the event is about one. A list tells nothing of what went while the watch was
    /// broken: whatever it does not show is gone.
    async fn follow(&self, event: Event<WhatsAppConnection>) -> Option<WhatsAppConnection> {
        match event {
            Event::Init => {
                self.listed().clear();
                None
            }
            Event::InitApply(connection) => {
                self.listed().extend(self.note(&connection));
                Some(connection)
            }
            Event::Apply(connection) => {
                self.note(&connection);
                Some(connection)
            }
            Event::Delete(connection) => {
                self.forget(id_of(&connection).into_iter().collect()).await;
                None
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut *self.listed());
                let known: Vec<_> = self.references().keys().copied().collect();
                self.forget(known.into_iter().filter(|id| !listed.contains(id)).collect()).await;
                None
            }
        }
    }

    fn note(&self, connection: &WhatsAppConnection) -> Option<ConnectionId> {
        let id = id_of(connection)?;
        self.references().insert(id, ObjectRef::from_obj(connection));
        Some(id)
    }

    async fn forget(&self, gone: Vec<ConnectionId>) {
        for id in gone {
            self.references().remove(&id);
            // Fails only during shutdown; the sweep of the next start finds what is left.
            let _ = self.deleted.send(id).await;
        }
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn references(&self) -> RwLockWriteGuard<'_, HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>> {
        self.references.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(connection: &WhatsAppConnection) -> Option<ConnectionId> {
    connection.uid()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures::{id, resource};

    #[tokio::test]
    async fn a_deletion_that_only_a_new_list_shows_is_told() {
        let (deleted, mut told) = mpsc::channel(8);
        let followed = Followed { references: References::default(), listed: Mutex::default(), deleted };
        let connection = resource(crds::State::Running);
        for event in [Event::Init, Event::InitApply(connection.clone()), Event::InitDone] {
            followed.follow(event).await;
        }
        assert!(told.try_recv().is_err(), "it is there");
        for event in [Event::Init, Event::InitDone] {
            followed.follow(event).await;
        }
        assert_eq!(told.try_recv(), Ok(id()));
        assert!(followed.references().is_empty(), "the sweep would take it for alive");
    }
}
