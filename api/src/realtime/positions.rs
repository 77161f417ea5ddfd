//! How far this replica has told a company's clients, connection by connection. Pure. What replicas tell each other may
//! be lost, come twice, or be said by one that died in between; each step names the one before it, so that it shows.

use std::collections::HashMap;

use relay::{ConnectionId, Offset};

use crate::ingest::Step;

/// The last that was told of each connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Positions(HashMap<ConnectionId, Offset>);

/// What to do with something that clients are to be told.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next: tell it.
    Tell,
    /// It was told already.
    Told,
    /// Something is missing after that place: it is to be read from the database, and this with it.
    Missing(Offset),
}

impl Positions {
    /// As they stand in the database.
    #[must_use]
    pub fn new(positions: impl IntoIterator<Item = (ConnectionId, Offset)>) -> Self {
        Self(positions.into_iter().collect())
    }

    /// The last that was told of a connection. Before the first it is the start.
    #[must_use]
    pub fn of(&self, connection: ConnectionId) -> Offset {
        self.0.get(&connection).copied().unwrap_or(Offset::START)
    }

    /// What to do with that step.
    #[must_use]
    pub fn judge(&self, step: &Step) -> Verdict {
        let told = self.of(step.connection_id);
        if step.offset <= told {
            Verdict::Told
        } else if step.previous <= told && step.previous != step.offset {
            Verdict::Tell
        } else {
            Verdict::Missing(told)
        }
    }

    /// That was told. A place never goes back.
    pub fn advance(&mut self, connection: ConnectionId, offset: Offset) {
        let told = self.0.entry(connection).or_default();
        *told = offset.max(*told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(previous: u64, offset: u64) -> Step {
        let connection_id = ConnectionId(uuid::Uuid::from_u128(1));
        Step { connection_id, previous: Offset::new(previous, 0), offset: Offset::new(offset, 0) }
    }

    #[test]
    fn each_step_is_told_once_and_a_gap_is_seen() {
        let mut positions = Positions::default();
        assert_eq!(positions.judge(&step(0, 5)), Verdict::Tell, "a new connection");
        positions.advance(step(0, 5).connection_id, Offset::new(5, 0));
        assert_eq!(positions.judge(&step(0, 5)), Verdict::Told);
        assert_eq!(positions.judge(&step(5, 7)), Verdict::Tell);
        assert_eq!(positions.judge(&step(7, 9)), Verdict::Missing(Offset::new(5, 0)));
    }

    /// Who takes a connection over says how far clients are to be told, in a step that leads nowhere.
    #[test]
    fn a_mere_position_is_never_told() {
        let mut positions = Positions::default();
        assert_eq!(positions.judge(&step(5, 5)), Verdict::Missing(Offset::START));
        positions.advance(step(5, 5).connection_id, Offset::new(5, 0));
        assert_eq!(positions.judge(&step(5, 5)), Verdict::Told);
        assert_eq!(positions.judge(&step(0, 0)), Verdict::Told);
    }

    #[test]
    fn a_place_never_goes_back() {
        let mut positions = Positions::default();
        let connection = step(0, 0).connection_id;
        positions.advance(connection, Offset::new(7, 0));
        positions.advance(connection, Offset::new(5, 0));
        assert_eq!(positions.of(connection), Offset::new(7, 0));
    }
}
