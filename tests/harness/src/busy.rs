//! An API server that has too much to do, as its clients see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tower::{BoxError, service_fn};

/// Tells a client when the API server is too busy for it, and what was refused. Clones are the same.
#[derive(Debug, Clone)]
pub struct Busy {
    now: watch::Sender<bool>,
    refused: Arc<AtomicUsize>,
}

impl Default for Busy {
    fn default() -> Self {
        Self { now: watch::Sender::new(false), refused: Arc::default() }
    }
}

impl Busy {
    /// From now on it is, or is not.
    pub fn set(&self, busy: bool) {
        self.now.send_replace(busy);
    }

    /// How many requests of those that are counted were refused so far.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// A client that, while it is told to, answers as an API server does that has too much to do. (A real one's flow control
    /// lets one request at a time through even at a priority level without seats.) What it lets through goes to the real one.
    /// Refused requests are counted where their path contains `counted`.
    #[must_use]
    pub fn client(&self, through: Client, counted: &'static str) -> Client {
        let busy = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (through, busy) = (through.clone(), busy.clone());
            async move {
                if !*busy.now.borrow() {
                    return Ok::<Response<Body>, BoxError>(through.send(request).await?);
                }
                busy.refused.fetch_add(usize::from(request.uri().path().contains(counted)), Ordering::Relaxed);
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429,
                    "reason": "TooManyRequests", "message": "too many requests, please try again later"});
                let answer = Response::builder().status(429).header("Retry-After", "1");
                Ok(answer.body(Body::from(status.to_string().into_bytes()))?)
            }
        });
        Client::new(service, "default")
    }
}
