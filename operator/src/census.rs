//! How many connections stand where, and for how long, for the metrics that alerts are made of. Counting is pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crds::{ConditionType, Reason, WhatsAppConnection};
use jiff::Timestamp;
use kube::ResourceExt;
use relay::ConnectionId;
use tokio::time::{MissedTickBehavior, interval};

use crate::context::Context;
use crate::metrics;

/// How often is counted: as often as Prometheus usually looks.
const COUNT: Duration = Duration::from_secs(15);

/// Since when each connection has the reason that it has. Kept here because `lastTransitionTime` moves with the status of
/// a condition only: whoever was suspended for a week would be called starting for a week. After a restart it begins anew.
#[derive(Debug, Default)]
struct Census(HashMap<ConnectionId, (Reason, Timestamp)>);

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    connections: BTreeMap<(ConditionType, Reason), usize>,
    /// The earliest beginning of each reason of `Ready`.
    oldest: BTreeMap<Reason, Timestamp>,
}

impl Census {
    fn take(&mut self, connections: &[Arc<WhatsAppConnection>], now: Timestamp) -> Figures {
        let mut figures = Figures::default();
        let mut seen = HashMap::with_capacity(connections.len());
        for connection in connections {
            for kind in ConditionType::ALL {
                *figures.connections.entry((kind, reason(connection, kind))).or_default() += 1;
            }
            let Some(id) = connection.uid().and_then(|uid| uid.parse::<ConnectionId>().ok()) else { continue };
            let reason = reason(connection, ConditionType::Ready);
            let since = self.0.get(&id).filter(|(before, _)| *before == reason).map_or(now, |(_, since)| *since);
            seen.insert(id, (reason, since));
            let oldest = figures.oldest.entry(reason).or_insert(since);
            *oldest = since.min(*oldest);
        }
        self.0 = seen;
        figures
    }
}

/// What is not written yet, and a word of a newer operator, is as good as unknown.
fn reason(connection: &WhatsAppConnection, kind: ConditionType) -> Reason {
    let conditions = connection.status.iter().flat_map(|status| &status.conditions);
    let mut found = conditions.filter(|condition| condition.type_ == kind.as_str());
    found
        .find_map(|c| Reason::ALL.iter().find(|reason| reason.as_str() == c.reason))
        .copied()
        .unwrap_or(Reason::Unknown)
}

/// Counts until the process ends.
pub async fn run(context: Arc<Context>) {
    let mut census = Census::default();
    let mut ticks = interval(COUNT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if context.cluster.connections_known() {
            let now = runtime::ambient::now();
            publish(&census.take(&context.cluster.connections.state(), now), now);
        }
    }
}

/// Sets every series, also to zero: one that only stayed away would go on as it was last.
fn publish(figures: &Figures, now: Timestamp) {
    for reason in Reason::ALL {
        for kind in ConditionType::ALL {
            let number = figures.connections.get(&(kind, *reason)).copied().unwrap_or_default();
            metrics::CONNECTIONS.set_count(number, [kind.as_str(), reason.as_str()]);
        }
        let age = figures.oldest.get(reason).map_or(0.0, |since| now.duration_since(*since).as_secs_f64());
        metrics::OLDEST.set(age, [reason.as_str()]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection(number: u128, ready: &str) -> Arc<WhatsAppConnection> {
        let condition = json!({
            "type": "Ready", "status": "False", "reason": ready, "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z",
        });
        let object = json!({
            "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
            "metadata": {"name": "sales", "uid": uuid::Uuid::from_u128(number)}, "spec": {"companyId": "acme"},
            "status": {"conditions": [condition]},
        });
        Arc::new(serde_json::from_value(object).expect("a connection"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_reason_is_as_old_as_its_oldest_connection_and_begins_anew_with_another() {
        let mut census = Census::default();
        let first = census.take(&[connection(1, "Starting")], at(100));
        assert_eq!(first.oldest, BTreeMap::from([(Reason::Starting, at(100))]), "not since lastTransitionTime");
        let both = [connection(1, "Starting"), connection(2, "Starting")];
        let second = census.take(&both, at(200));
        assert_eq!(second.oldest, BTreeMap::from([(Reason::Starting, at(100))]));
        assert_eq!(second.connections.get(&(ConditionType::Ready, Reason::Starting)), Some(&2));
        let third = census.take(&[connection(1, "AsExpected"), connection(2, "Starting")], at(300));
        assert_eq!(third.oldest, BTreeMap::from([(Reason::AsExpected, at(300)), (Reason::Starting, at(200))]));
        let none = census.take(&[], at(400));
        assert_eq!(none, Figures::default());
        assert!(census.0.is_empty(), "what was deleted is forgotten");
    }

    #[test]
    fn a_reason_that_nobody_knows_is_unknown() {
        let figures = Census::default().take(&[connection(1, "5511999999999")], at(1));
        assert_eq!(figures.oldest, BTreeMap::from([(Reason::Unknown, at(1))]));
    }
}
