//! One socket in its company's room. What it is told goes through here, in order: while it is still being told what it
//! missed, the rest waits; and once something did not fit into its queue it is told nothing more, but closed, so that it
//! comes again and resumes. Nothing is left out silently.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay::{ConnectionId, Offset};
use socketioxide::extract::SocketRef;

use super::positions::Positions;
use crate::ingest::Told;
use crate::metrics;

/// What waits for a socket that is still being let in. It takes milliseconds; past this the client resumes.
const WAITING: usize = 128;

/// A socket in a room.
#[derive(Debug)]
pub struct Member {
    /// The socket.
    pub socket: SocketRef,
    /// It was let in without knowing where the company's connections stand, so it may have missed something.
    pub blind: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// It is being let in.
    Waiting(VecDeque<Told>),
    /// It is told everything at once that comes after these places. What it missed was read from the database, where an
    /// event is before the hub hears of it: heard later, it must not be told a second time.
    Open(Positions),
    /// It missed something and must go.
    Behind,
}

/// Whether a socket keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It does.
    Keeps,
    /// It just fell behind: its transport is to be closed.
    FellBehind,
}

impl Member {
    /// A socket that is being let in.
    #[must_use]
    pub fn new(socket: SocketRef) -> Self {
        Self { socket, blind: AtomicBool::new(false), state: Mutex::new(State::Waiting(VecDeque::new())) }
    }

    /// Whether it is let in although nobody could say where the connections stand.
    pub fn let_in_blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::Relaxed);
    }

    /// Tells it something, or keeps that until it is in.
    pub fn tell(&self, told: &Told) -> Pace {
        self.counted(|state| state.tell(told, |told| self.emit(told)))
    }

    /// Lets it in: tells it what it missed after those places, then what came meanwhile and is not part of that.
    pub fn let_in(&self, from: &[(ConnectionId, Offset)], missed: &[Told]) -> Pace {
        self.counted(|state| state.let_in(from, missed, |told| self.emit(told)))
    }

    /// It missed something and is told nothing more. To be said before its transport is closed: until that has happened
    /// it would hear what comes after the gap, and resume from there.
    pub fn give_up(&self) {
        *self.state() = State::Behind;
    }

    fn counted(&self, step: impl FnOnce(&mut State) -> Pace) -> Pace {
        let pace = step(&mut self.state());
        if pace == Pace::FellBehind {
            metrics::SLOW_SOCKETS.count([]);
        }
        pace
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; were it so, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, told: &Told) -> bool {
        self.socket.emit(&told.name, &told.data).is_ok()
    }
}

impl State {
    fn tell(&mut self, told: &Told, emit: impl FnOnce(&Told) -> bool) -> Pace {
        let fits = match self {
            Self::Waiting(waiting) if waiting.len() < WAITING => {
                waiting.push_back(told.clone());
                true
            }
            Self::Open(floor) => !is_after(floor, told) || emit(told),
            Self::Waiting(_) => false,
            Self::Behind => return Pace::Keeps,
        };
        self.unless(fits)
    }

    /// Only who waits is let in: who fell behind meanwhile would hear of what comes after its gap.
    fn let_in(
        &mut self,
        from: &[(ConnectionId, Offset)],
        missed: &[Told],
        mut emit: impl FnMut(&Told) -> bool,
    ) -> Pace {
        let Self::Waiting(waiting) = self else { return Pace::Keeps };
        let waiting = std::mem::take(waiting);
        let mut floor = Positions::new(from.iter().copied());
        for step in missed.iter().filter_map(Told::step) {
            floor.advance(step.connection_id, step.offset);
        }
        let new = waiting.iter().filter(|told| is_after(&floor, told));
        let fits = missed.iter().chain(new).all(&mut emit);
        *self = Self::Open(floor);
        self.unless(fits)
    }

    fn unless(&mut self, fits: bool) -> Pace {
        if fits {
            return Pace::Keeps;
        }
        *self = Self::Behind;
        Pace::FellBehind
    }
}

/// Whether something comes after those places. What no event of a session tells has no place, and always does.
fn is_after(floor: &Positions, told: &Told) -> bool {
    told.step().is_none_or(|step| step.offset > floor.of(step.connection_id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> ConnectionId {
        ConnectionId(uuid::Uuid::from_u128(1))
    }

    fn told(number: u64) -> Told {
        let data = json!({
            "connectionId": id(), "offset": Offset::new(number, 0), "previous": Offset::new(number - 1, 0),
        });
        Told { name: "new-message".to_owned(), data }
    }

    /// What would be lost: that a screen shows each message once.
    #[test]
    fn nothing_is_told_twice_to_who_resumes() {
        let mut heard = Vec::new();
        let mut state = State::Waiting(VecDeque::new());
        let mut emit = |told: &Told| {
            heard.push(told.step().map(|step| step.offset.parts().0));
            true
        };
        for number in [2, 4, 5] {
            assert_eq!(state.tell(&told(number), &mut emit), Pace::Keeps);
        }
        // It had heard of 2; 3 and 4 are in the database; 6 is, too, and the hub hears of it only now.
        let missed = [told(3), told(4), told(5), told(6)];
        assert_eq!(state.let_in(&[(id(), Offset::new(2, 0))], &missed, &mut emit), Pace::Keeps);
        for number in [1, 6, 7] {
            assert_eq!(state.tell(&told(number), &mut emit), Pace::Keeps);
        }
        let now = Told { name: "connection-status".to_owned(), data: json!({"connectionId": id()}) };
        assert_eq!(state.tell(&now, &mut emit), Pace::Keeps);
        assert_eq!(heard, [Some(3), Some(4), Some(5), Some(6), Some(7), None]);
    }

    /// What would be lost: everything that did not fit, without a word, for who is let in all the same.
    #[test]
    fn who_fell_behind_while_it_waited_is_not_let_in() {
        let mut state = State::Waiting(VecDeque::new());
        let never = |_: &Told| -> bool { panic!("it is told nothing any more") };
        for number in 1..=128 {
            assert_eq!(state.tell(&told(number), never), Pace::Keeps);
        }
        assert_eq!(state.tell(&told(129), never), Pace::FellBehind);
        assert_eq!(state.let_in(&[], &[], never), Pace::Keeps, "it is being closed already");
        assert_eq!(state.tell(&told(130), never), Pace::Keeps);
    }
}
