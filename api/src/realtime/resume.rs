//! What a client missed. It says in `auth.offset` how far it was told: a map from connections to offsets, as the answer
//! to `join-company` gives it and each event moves it on; or one offset, where the company has one connection. It gets
//! all that came after, in order, or is told that it must load everything anew; never a part.

use std::collections::{BTreeMap, BTreeSet};

use relay::{ConnectionId, Offset};
use serde::Deserialize;

use crate::ingest::Told;
use crate::store::{Store, StoreError, TenantScope, ToldEvent};

/// The most that a client is told again: below the queue of a socket. Who missed more loads everything anew, which is
/// less to carry.
const MOST: usize = 300;

/// How far a client was told, in its own words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Heard {
    /// Of each connection.
    Each(BTreeMap<ConnectionId, Offset>),
    /// Of the only connection.
    Only(Offset),
    /// In words that nobody understands.
    Unreadable(serde::de::IgnoredAny),
}

/// What a client is to be told again.
#[derive(Debug, PartialEq)]
pub enum Missed {
    /// All that came after those places.
    All(Vec<(ConnectionId, Offset)>, Vec<Told>),
    /// Nobody can say, or it is too much.
    TooMuch,
}

/// What the client missed of the company's connections, which are `present`.
pub async fn missed(
    store: &Store,
    scope: &TenantScope,
    heard: &Heard,
    present: &BTreeSet<ConnectionId>,
) -> Result<Missed, StoreError> {
    let Some(places) = places(heard, present) else { return Ok(Missed::TooMuch) };
    let most = i64::try_from(MOST).unwrap_or(i64::MAX).saturating_add(1);
    let mut tx = store.begin(scope).await?;
    // An offset that was never told is of another history: of before a backup was restored, or made up.
    if !tx.all_told(&places).await? {
        return Ok(Missed::TooMuch);
    }
    let events = tx.told_after(&places, most).await?;
    tx.commit().await?;
    if events.len() > MOST {
        return Ok(Missed::TooMuch);
    }
    Ok(told(events).map_or(Missed::TooMuch, |told| Missed::All(places, told)))
}

/// After which place of each connection. One that the client does not name is new to it. Those that are gone do not
/// count: there is nothing to be told of them.
fn places(heard: &Heard, present: &BTreeSet<ConnectionId>) -> Option<Vec<(ConnectionId, Offset)>> {
    match heard {
        Heard::Each(offsets) => {
            Some(present.iter().map(|id| (*id, offsets.get(id).copied().unwrap_or(Offset::START))).collect())
        }
        Heard::Only(offset) if present.len() == 1 => Some(present.iter().map(|id| (*id, *offset)).collect()),
        Heard::Only(_) | Heard::Unreadable(_) => None,
    }
}

/// The words as they were told; nothing when one of them cannot be read.
fn told(events: Vec<ToldEvent>) -> Option<Vec<Told>> {
    events.into_iter().map(|event| serde_json::from_value(event.payload).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn id(number: u128) -> ConnectionId {
        ConnectionId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn what_clients_say_is_understood_or_leads_to_loading_anew() {
        let (one, two) = (id(1), id(2));
        let heard = |value| from_value::<Heard>(value).expect("anything is something");
        let both = BTreeSet::from([one, two]);
        let only = BTreeSet::from([one]);
        let (five, start) = (Offset::new(5, 0), Offset::START);
        let named = heard(json!({ (one.to_string()): "5-0" }));
        assert_eq!(places(&named, &both), Some(vec![(one, five), (two, start)]), "one that is new to it");
        assert_eq!(places(&named, &BTreeSet::from([two])), Some(vec![(two, start)]), "one that is gone");
        assert_eq!(places(&heard(json!("5-0")), &only), Some(vec![(one, five)]));
        assert_eq!(places(&heard(json!("5-0")), &both), None, "of which?");
        for unreadable in [json!("five"), json!(5), json!({"x": "5-0"}), json!({ (one.to_string()): 5 })] {
            assert_eq!(places(&heard(unreadable), &only), None);
        }
    }
}
