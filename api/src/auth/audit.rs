//! The audit log: everything that somebody with a good token tried to change is recorded with how it went, whichever route
//! it was. A layer does it, so that no handler can forget to. What a request says is never recorded.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use runtime::ambient;
use tracing::Instrument;
use uuid::Uuid;

use super::Identity;
use crate::app::App;
use crate::problem::Problem;
use crate::store::{AuditEntry, StoreError, TenantScope};

/// Longest wait for an entry to be written. The answer waits for it; what was done is done all the same.
const WAIT: Duration = Duration::from_secs(3);

/// Characters of a subject that are kept.
const SUBJECT: usize = 255;

/// Writes entries, and can do nothing else.
#[derive(Clone)]
pub struct AuditLog(App);

/// Where the extractor leaves word of who calls.
#[derive(Clone, Default)]
pub struct Caller(Arc<OnceLock<Identity>>);

impl Caller {
    /// Leaves word.
    pub fn is(&self, identity: &Identity) {
        // One request has one token.
        let _ = self.0.set(identity.clone());
    }
}

impl AuditLog {
    /// Into that database.
    #[must_use]
    pub const fn new(app: App) -> Self {
        Self(app)
    }

    /// Records what the caller tried. An entry that cannot be written is in the log of the process all the same.
    pub async fn record(
        &self,
        identity: &Identity,
        action: String,
        target: Option<Uuid>,
        status: u16,
        request_id: &str,
    ) {
        let subject = identity.subject().map(|subject| subject.chars().take(SUBJECT).collect::<String>());
        let company = identity.company();
        tracing::info!(audit = true, %company, subject, action, ?target, status, request_id, "recorded");
        let at = ambient::now();
        let entry = AuditEntry { at, subject, action, target, status, request_id: request_id.to_owned() };
        match tokio::time::timeout(WAIT, self.write(identity, &entry)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(&error),
            Err(elapsed) => failed(&elapsed),
        }
    }

    async fn write(&self, identity: &Identity, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.0.store().begin(&TenantScope::of_token(identity)).await?;
        tx.record(entry).await?;
        tx.commit().await
    }
}

fn failed(error: &dyn std::fmt::Display) {
    crate::metrics::AUDIT_FAILED.count([]);
    tracing::error!(%error, "an entry of the audit log is only here");
}

/// The layer: requests that change something, once they are answered. Each is a task of its own: one whose caller hangs up, or
/// is told that it takes too long, goes on to its end, and what it did is recorded all the same.
pub async fn audit(State(log): State<AuditLog>, mut request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !changes {
        return next.run(request).await;
    }
    let caller = Caller::default();
    request.extensions_mut().insert(caller.clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let target = target(request.uri().path(), route.as_deref());
    let action = format!("{} {}", request.method(), route.unwrap_or_default());
    let request_id = request_id(request.headers());
    let handled = async move {
        let response = next.run(request).await;
        // Who is told to slow down must not be able to fill the log instead.
        if let Some(identity) = caller.0.get().filter(|_| response.status() != StatusCode::TOO_MANY_REQUESTS) {
            log.record(identity, action, target, response.status().as_u16(), &request_id).await;
        }
        response
    };
    match tokio::spawn(handled.in_current_span()).await {
        Ok(response) => response,
        // A layer further out answers for it.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Problem::internal(&error).into_response(),
        },
    }
}

fn request_id(headers: &HeaderMap) -> String {
    headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The id that stands in the path where the route has one.
fn target(path: &str, route: Option<&str>) -> Option<Uuid> {
    let at = route?.split('/').position(|part| part == "{id}")?;
    path.split('/').nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_id_in_the_path() {
        let id = "0190a1b2-0000-7000-8000-000000000001";
        let one = "/whatsapp/connections/{id}/connect";
        assert_eq!(target(&format!("/whatsapp/connections/{id}/connect"), Some(one)), id.parse().ok());
        assert_eq!(target("/whatsapp/connections/x/connect", Some(one)), None);
        assert_eq!(target("/whatsapp/connections", Some("/whatsapp/connections")), None);
        assert_eq!(target(&format!("/whatsapp/connections/{id}"), None), None);
    }
}
