//! The client through which all writes go. It lets none pass while this process does not lead, and drops those under way
//! when it stops leading: what a reconcile decided before that must not be done after it.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;

use super::Leadership;

/// A write of a process that does not lead.
#[derive(Debug, thiserror::Error)]
#[error("this operator does not lead (any more)")]
struct NotLeading;

/// A client that writes only while `leadership` is held. Reads pass always.
#[must_use]
pub fn guarded(client: &Client, leadership: &Leadership) -> Client {
    let (inner, leadership) = (client.clone(), leadership.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, leadership) = (inner.clone(), leadership.clone());
        async move {
            if request.method().is_safe() {
                return Ok::<Response<Body>, tower::BoxError>(inner.send(request).await?);
            }
            // Asked first each time that the call makes a step: a process that was stopped for a while and goes on in the
            // middle of a call finds that it was deposed before it sends another byte or tries again.
            tokio::select! {
                biased;
                () = leadership.lost() => Err(NotLeading.into()),
                answer = inner.send(request) => Ok(answer?),
            }
        }
    });
    Client::new(service, client.default_namespace())
}
