//! Messages that are being sent, found by the one part of their id that no address changes. WhatsApp may keep the person
//! under another address than the one that was written to, and tells of the message before the send has been answered.

use std::collections::{BTreeMap, VecDeque};

use relay::MessageId;

/// Sends that are remembered. An event about one comes within its command's life, and those are some minutes.
const MOST: usize = 2000;

/// The sends of this process.
#[derive(Default)]
pub struct Expected {
    by_key: BTreeMap<String, MessageId>,
    order: VecDeque<String>,
}

impl Expected {
    /// A message is sent under this id.
    pub fn add(&mut self, chosen: &MessageId) {
        let Some(key) = key(chosen) else { return };
        if self.by_key.insert(key.to_owned(), chosen.clone()).is_none() {
            self.order.push_back(key.to_owned());
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }

    /// The id that was chosen for what WhatsApp has under `actual`, if that is another one.
    #[must_use]
    pub fn chosen(&self, actual: &MessageId) -> Option<&MessageId> {
        self.by_key.get(key(actual)?).filter(|chosen| *chosen != actual)
    }
}

/// What the sender of an own message has drawn at random: `true_<chat>_<key>`.
fn key(id: &MessageId) -> Option<&str> {
    if id.is_own() { id.as_str().split('_').nth(2) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MessageId {
        text.parse().expect("valid")
    }

    #[test]
    fn a_send_is_known_under_every_address_and_other_messages_are_not() {
        let mut expected = Expected::default();
        let chosen = id("true_5511999999999@c.us_3EB0AA");
        expected.add(&chosen);
        assert_eq!(expected.chosen(&id("true_100000000000001@lid_3EB0AA")), Some(&chosen));
        assert_eq!(expected.chosen(&chosen), None);
        assert_eq!(expected.chosen(&id("true_100000000000001@lid_3EB0BB")), None);
        assert_eq!(expected.chosen(&id("false_100000000000001@lid_3EB0AA")), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut expected = Expected::default();
        for number in 0..=MOST {
            expected.add(&id(&format!("true_5511999999999@c.us_3EB0{number}")));
        }
        assert_eq!(expected.chosen(&id("true_100000000000001@lid_3EB00")), None);
        assert!(expected.chosen(&id("true_100000000000001@lid_3EB01")).is_some());
    }
}
