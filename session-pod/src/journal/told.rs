//! Which messages were told lately, so that none is told twice. Bounded, and in memory alone.

use std::collections::{BTreeSet, VecDeque};

use relay::MessageId;

/// Messages that are remembered as told. A first comparison tells 4,000 at most, and of more that are told again nobody sees
/// anything: a message has one id.
const TOLD: usize = 20_000;

/// The messages that were told lately.
#[derive(Default)]
pub(super) struct Told {
    known: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Told {
    /// Whether it was told.
    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.known.contains(id)
    }

    /// One more; the oldest is forgotten for it.
    pub(super) fn add(&mut self, id: &MessageId) {
        if !self.known.insert(id.clone()) {
            return;
        }
        self.order.push_back(id.clone());
        if self.order.len() > TOLD
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
