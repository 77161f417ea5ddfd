//! How long each watch has heard nothing. A watch that is silent for too long is deaf, whatever it believes of itself;
//! its caches are then the past. kube's own watcher does not tell (it keeps bookmarks to itself), so the answers are
//! noted below it, in the client that one watch alone uses.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

/// The kinds that are watched: the labels of the metrics.
pub const CONNECTION: &str = "WhatsAppConnection";
pub const NAMESPACE: &str = "Namespace";
pub const POD: &str = "Pod";
pub const CLAIM: &str = "PersistentVolumeClaim";
pub const POLICY: &str = "NetworkPolicy";
/// All of them.
pub const KINDS: [&str; 5] = [CONNECTION, NAMESPACE, POD, CLAIM, POLICY];

/// One watch's signs of life.
#[derive(Debug)]
pub struct Life {
    kind: &'static str,
    signs: Mutex<Signs>,
}

#[derive(Debug, Clone, Copy)]
struct Signs {
    /// The API server said anything, be it a refusal.
    answered: Instant,
    /// It gave what was asked for: objects, bookmarks, or a list.
    served: Instant,
}

impl Life {
    fn note(&self, served: bool) {
        let (mut signs, now) = (self.signs.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        signs.answered = now;
        if served {
            signs.served = now;
        }
    }

    fn signs(&self) -> Signs {
        *self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All watches there are. A watch leaves when its stream is dropped.
#[derive(Debug, Clone, Default)]
pub struct Lives(Arc<Mutex<Vec<Weak<Life>>>>);

impl Lives {
    /// One more watch, alive from now on.
    pub fn begin(&self, kind: &'static str) -> Arc<Life> {
        let now = Instant::now();
        let life = Arc::new(Life { kind, signs: Mutex::new(Signs { answered: now, served: now }) });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|life| life.strong_count() > 0);
        all.push(Arc::downgrade(&life));
        life
    }

    /// Since when the API server has not answered the watch that it has neglected longest. A refusal is an answer: a
    /// namespace without rights for us is somebody's mistake, and restarting the operator would not mend it.
    #[must_use]
    pub fn all_answered_since(&self) -> Instant {
        self.each().map(|(_, signs)| signs.answered).min().unwrap_or_else(Instant::now)
    }

    /// For each kind the age of what its most neglected watch was last given.
    #[must_use]
    pub fn ages(&self, now: Instant) -> [(&'static str, Duration); KINDS.len()] {
        let all: Vec<_> = self.each().collect();
        KINDS.map(|kind| {
            let ages = all.iter().filter(|(of, _)| *of == kind);
            (kind, ages.map(|(_, signs)| now.saturating_duration_since(signs.served)).max().unwrap_or_default())
        })
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, Signs)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alive: Vec<_> = all.iter().filter_map(Weak::upgrade).map(|life| (life.kind, life.signs())).collect();
        alive.into_iter()
    }
}

/// An API server that took a request and did not begin to answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Unanswered(Duration);

/// A client that notes every answer in `life`, and gives up one that does not begin within `longest`: the client's own
/// retries of 429 and 503 could else hold a watch for minutes without a word.
pub fn listening(client: &Client, life: &Arc<Life>, longest: Duration) -> Client {
    let (inner, life) = (client.clone(), Arc::clone(life));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, life) = (inner.clone(), Arc::clone(&life));
        async move {
            let response: Response<Body> =
                tokio::time::timeout(longest, inner.send(request)).await.map_err(|_| Unanswered(longest))??;
            let served = response.status().is_success();
            life.note(served);
            Ok::<_, tower::BoxError>(response.map(|body| body.inspect_frame(move |_| life.note(served))))
        }
    });
    Client::new(service, client.default_namespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_neglected_watch_counts_and_one_that_ended_does_not() {
        let lives = Lives::default();
        let (first, refused) = (lives.begin(POD), lives.begin(POD));
        let later = Instant::now() + Duration::from_mins(1);
        assert!(lives.ages(later).contains(&(CONNECTION, Duration::ZERO)), "no watch is no stale watch");
        let began = refused.signs();
        refused.note(false);
        assert!(lives.all_answered_since() <= first.signs().answered);
        first.note(true);
        assert!(refused.signs().answered > began.answered, "a refusal is an answer");
        assert_eq!(refused.signs().served, began.served, "but not what was asked for");
        drop(refused);
        assert_eq!(lives.all_answered_since(), first.signs().answered);
    }
}
