//! The sockets of this replica, by the company in whose room they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use relay::CompanyId;
use socketioxide::socket::Sid;

use super::member::Member;

type Rooms = HashMap<CompanyId, HashMap<Sid, Arc<Member>>>;

/// Who listens. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Audience(Arc<Mutex<Rooms>>);

impl Audience {
    /// Adds a socket to its company's room. False when it is there already.
    pub fn add(&self, company: &CompanyId, member: &Arc<Member>) -> bool {
        self.with(|rooms| {
            let room = rooms.entry(company.clone()).or_default();
            let new = !room.contains_key(&member.socket.id);
            room.entry(member.socket.id).or_insert_with(|| Arc::clone(member));
            new
        })
    }

    /// Takes a socket out of its room.
    pub fn remove(&self, company: &CompanyId, socket: Sid) {
        self.with(|rooms| {
            if let Some(room) = rooms.get_mut(company) {
                room.remove(&socket);
                if room.is_empty() {
                    rooms.remove(company);
                }
            }
        });
    }

    /// The sockets of a company.
    #[must_use]
    pub fn of(&self, company: &CompanyId) -> Vec<Arc<Member>> {
        self.with(|rooms| rooms.get(company).map(|room| room.values().cloned().collect()).unwrap_or_default())
    }

    /// All sockets that are in a room.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Member>> {
        self.with(|rooms| rooms.values().flat_map(HashMap::values).cloned().collect())
    }

    /// Whether anybody listens for a company.
    #[must_use]
    pub fn has(&self, company: &CompanyId) -> bool {
        self.with(|rooms| rooms.contains_key(company))
    }

    fn with<T>(&self, read: impl FnOnce(&mut Rooms) -> T) -> T {
        // Nothing panics while it holds the lock; were it so, the maps would still be whole.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
