//! One socket in its company's room. What it is told goes through here, in order: while it is still being told what it
//! missed, the rest waits; and once something did not fit into its queue it is told nothing more, but closed, so that it
//! comes again and resumes. Nothing is left out silently.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// It is told everything at once.
    Open,
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = match &mut *state {
            State::Waiting(waiting) if waiting.len() < WAITING => {
                waiting.push_back(told.clone());
                true
            }
            State::Open => self.emit(told),
            State::Waiting(_) => false,
            State::Behind => return Pace::Keeps,
        };
        Self::unless(fits, &mut state)
    }

    /// Lets it in: tells it what it missed, then what came meanwhile and is not part of that.
    pub fn let_in(&self, missed: &[Told]) -> Pace {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Waiting(waiting) = std::mem::replace(&mut *state, State::Open) else { return Pace::Keeps };
        let mut told = Positions::default();
        for step in missed.iter().filter_map(Told::step) {
            told.advance(step.connection_id, step.offset);
        }
        let new = |told_now: &&Told| told_now.step().is_none_or(|step| step.offset > told.of(step.connection_id));
        let fits = missed.iter().chain(waiting.iter().filter(new)).all(|told| self.emit(told));
        Self::unless(fits, &mut state)
    }

    fn unless(fits: bool, state: &mut State) -> Pace {
        if fits {
            return Pace::Keeps;
        }
        *state = State::Behind;
        metrics::SLOW_SOCKETS.count([]);
        Pace::FellBehind
    }

    fn emit(&self, told: &Told) -> bool {
        self.socket.emit(&told.name, &told.data).is_ok()
    }
}
