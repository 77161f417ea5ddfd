//! Whose turn it is. Pure. A connection waits at most once and never has two workers; what is asked while its worker is
//! busy is remembered, so that no wake-up falls between the worker's last look and its end.

use std::collections::{HashMap, VecDeque};

use relay::ConnectionId;

/// The connections that wait for a worker, or have one.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<ConnectionId>,
    turns: HashMap<ConnectionId, Turn>,
}

#[derive(Debug, PartialEq)]
enum Turn {
    Waiting,
    Working,
    WorkingAndAsked,
}

impl Queue {
    /// These want a worker.
    pub fn push_all(&mut self, connections: impl IntoIterator<Item = ConnectionId>) {
        for connection in connections {
            let turn = self.turns.entry(connection).or_insert_with(|| {
                self.waiting.push_back(connection);
                Turn::Waiting
            });
            if *turn == Turn::Working {
                *turn = Turn::WorkingAndAsked;
            }
        }
    }

    /// The next, which now has a worker.
    pub fn next(&mut self) -> Option<ConnectionId> {
        let connection = self.waiting.pop_front()?;
        self.turns.insert(connection, Turn::Working);
        Some(connection)
    }

    /// Its worker ended, and there is `more` to do or not. It goes behind those who wait.
    pub fn done(&mut self, connection: ConnectionId, more: bool) {
        let asked = self.turns.remove(&connection) == Some(Turn::WorkingAndAsked);
        if asked || more {
            self.push_all([connection]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> ConnectionId {
        ConnectionId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_storm_of_wake_ups_is_one_turn_and_one_more() {
        let mut queue = Queue::default();
        queue.push_all([id(1), id(1), id(1)]);
        assert_eq!(queue.next(), Some(id(1)));
        assert_eq!(queue.next(), None);
        queue.push_all([id(1), id(1)]);
        assert_eq!(queue.next(), None, "never two workers");
        queue.done(id(1), false);
        assert_eq!(queue.next(), Some(id(1)), "asked while it worked");
        queue.done(id(1), false);
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn who_has_much_to_do_waits_for_the_others() {
        let mut queue = Queue::default();
        queue.push_all([id(1), id(2)]);
        assert_eq!(queue.next(), Some(id(1)));
        queue.done(id(1), true);
        assert_eq!((queue.next(), queue.next()), (Some(id(2)), Some(id(1))));
    }
}
