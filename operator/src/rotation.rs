//! Changes the sessions' Redis passwords on a schedule, with two valid at once in between, so that nobody is ever shut out.
//!
//! 1. The user gets the new password besides the one it has.
//! 2. The Secret gets the new one as `password` and the one before as `previous-password`. The kubelet brings it to the
//!    pod, and the session logs in with it.
//! 3. Once everybody has had time for that, the user keeps only what stands in `password`,
//! 4. and `previous-password` goes from the Secret.
//!
//! A crash between any two leaves a user that takes whatever the Secret says, and more: the next visit finds from the
//! Secret alone how to go on. Nothing here believes a wall clock with more than when to begin.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use relay::ConnectionId;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::connection::build::names;
use crate::connection::build::secret::{PASSWORD, PREVIOUS_PASSWORD, Passwords, new_password, passwords};
use crate::connection::ownership::belongs_to;
use crate::context::Context;
use crate::metrics;

/// When a Secret's password was made; without it, the Secret's own age counts.
const ROTATED_AT: &str = "whatsapp-operator.dev/rotated-at";

/// How often is looked who is due, and how many are dealt with each time: 10,000 in half an hour.
const TICK: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 10;

/// A new leader looks at each Secret once, spread over so long.
const SPREAD: Duration = Duration::from_hours(1);

/// Longest visit: three calls of the API server and Redis. A visit that failed is made again after [`RETRY`].
const VISIT: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_mins(1);

/// When passwords change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Age of a password at which it is replaced; nothing means never.
    pub every: Option<Duration>,
    /// How long the one before is valid besides the new one. The kubelet needs about two minutes to bring a Secret to a
    /// pod, and a session 10 s to see it there.
    pub overlap: Duration,
}

impl Rotation {
    /// With the usual overlap.
    #[must_use]
    pub const fn every(every: Option<Duration>) -> Self {
        Self { every, overlap: Duration::from_mins(15) }
    }
}

/// What to do with a Secret.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, for so long.
    Wait(Duration),
    /// Two passwords are valid, and were not known to be: give everybody time.
    Overlap,
    /// A new password.
    Rotate,
    /// The one before goes.
    Retire,
}

/// Pure. `overlapped` says that this process has let a whole overlap pass since it first saw two passwords.
fn next(overlaps: bool, overlapped: bool, age: Duration, every: Duration) -> Step {
    match (overlaps, overlapped) {
        (true, true) => Step::Retire,
        (true, false) => Step::Overlap,
        (false, _) if age >= every => Step::Rotate,
        (false, _) => Step::Wait(every.saturating_sub(age)),
    }
}

#[derive(Clone, Copy)]
struct Visit {
    due: Instant,
    overlapped: bool,
}

/// Visits every connection's Secret when it is due, for as long as this process leads.
pub async fn keep(context: Arc<Context>, rotation: Rotation) {
    let Some(every) = rotation.every else { return std::future::pending().await };
    let mut visits: HashMap<ConnectionId, Visit> = HashMap::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !context.leadership.holds() {
            visits.clear();
            continue;
        }
        let (now, ids) = (Instant::now(), context.cluster.ids().into_iter().collect::<HashSet<_>>());
        visits.retain(|id, _| ids.contains(id));
        for id in ids {
            let first = || now + SPREAD.min(every).mul_f64(runtime::ambient::random_fraction());
            visits.entry(id).or_insert_with(|| Visit { due: first(), overlapped: false });
        }
        let due: Vec<_> =
            visits.iter().filter(|(_, visit)| visit.due <= now).map(|(id, visit)| (*id, *visit)).collect();
        for (id, visit) in due.into_iter().take(AT_ONCE) {
            let (wait, overlapped) =
                match timeout(VISIT, visit_one(id, visit.overlapped, every, rotation, &context)).await {
                    Ok(Ok(next)) => next,
                    Ok(Err(error)) => failed(id, &error, visit),
                    Err(error) => failed(id, &error, visit),
                };
            visits.insert(id, Visit { due: Instant::now() + wait, overlapped });
        }
    }
}

fn failed(id: ConnectionId, error: &dyn std::fmt::Display, visit: Visit) -> (Duration, bool) {
    tracing::warn!(connection = %id, %error, "credentials were not rotated; trying again");
    (RETRY, visit.overlapped)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Relay(#[from] relay::RelayError),
}

/// Does what is due, and gives the time until the next visit and whether an overlap will then have passed.
async fn visit_one(
    id: ConnectionId,
    overlapped: bool,
    every: Duration,
    rotation: Rotation,
    context: &Context,
) -> Result<(Duration, bool), Failure> {
    let Some(reference) = context.cluster.reference(&id) else { return Ok((every, false)) };
    let secrets: Api<Secret> =
        Api::namespaced(context.client.clone(), reference.namespace.as_deref().unwrap_or_default());
    // A reconcile that restores the user reads the Secret as well: one after the other.
    let _turn = context.turns.of(&id).await;
    let found = secrets.get_opt(&names::secret(&reference.name)).await?.filter(|secret| belongs_to(secret, &id));
    // Without one the session was never started; with an empty one it is up to the reconcile.
    let Some((secret, held)) = found.and_then(|secret| passwords(&secret).map(|passwords| (secret, passwords))) else {
        return Ok((every, false));
    };
    match next(held.previous.is_some(), overlapped, age(&secret, runtime::ambient::now()), every) {
        Step::Wait(wait) => Ok((wait, false)),
        Step::Overlap => Ok((rotation.overlap, true)),
        Step::Rotate => {
            let next = Passwords { current: new_password(), previous: Some(held.current) };
            context.relay.clone().allow(id, &next.valid()).await?;
            let words = json!({PASSWORD: next.current, PREVIOUS_PASSWORD: next.previous});
            let at = json!({ROTATED_AT: runtime::ambient::now().to_string()});
            write(&secrets, &secret, json!({"metadata": {"annotations": at}, "stringData": words})).await?;
            metrics::rotated("rotated");
            tracing::info!(connection = %id, "gave its session another Redis password; the one before stays valid for now");
            Ok((rotation.overlap, true))
        }
        Step::Retire => {
            context.relay.clone().allow(id, &[held.current.as_str()]).await?;
            write(&secrets, &secret, json!({"data": {PREVIOUS_PASSWORD: null}})).await?;
            metrics::rotated("retired");
            tracing::info!(connection = %id, "its session's Redis password before the last is not valid any more");
            Ok((every, false))
        }
    }
}

/// Only the Secret that was read: whoever changed it in between is not overwritten.
async fn write(secrets: &Api<Secret>, read: &Secret, mut change: serde_json::Value) -> Result<(), kube::Error> {
    if let Some(change) = change.as_object_mut() {
        let metadata = change.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(read.resource_version()));
        }
    }
    secrets.patch(&read.name_any(), &PatchParams::default(), &Patch::Merge(change)).await.map(drop)
}

/// How old the password is. A clock that was set back makes it young, which only delays the next one.
fn age(secret: &Secret, now: Timestamp) -> Duration {
    let noted = secret.annotations().get(ROTATED_AT).and_then(|at| at.parse::<Timestamp>().ok());
    let made = noted.or_else(|| secret.metadata.creation_timestamp.as_ref().map(|at| at.0)).unwrap_or(now);
    Duration::try_from(now.duration_since(made)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Duration = Duration::from_hours(720);

    #[test]
    fn a_password_is_replaced_when_it_is_old_and_not_before() {
        assert_eq!(next(false, false, MONTH, MONTH), Step::Rotate);
        assert_eq!(next(false, false, Duration::from_hours(20), MONTH), Step::Wait(Duration::from_hours(700)));
    }

    #[test]
    fn the_one_before_goes_only_after_an_overlap_that_this_process_has_seen() {
        // Whatever the clock says: it may have jumped, and a new leader does not know since when two are valid.
        assert_eq!(next(true, false, MONTH, MONTH), Step::Overlap);
        assert_eq!(next(true, true, Duration::ZERO, MONTH), Step::Retire);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_new_password() {
        let mut secret = Secret::default();
        secret.annotations_mut().insert(ROTATED_AT.to_owned(), "2026-01-01T01:00:00Z".to_owned());
        let before = "2026-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(age(&secret, before), Duration::ZERO);
    }
}
