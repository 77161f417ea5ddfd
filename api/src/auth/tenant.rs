//! The extractor that opens a company: no token, no handle to the store, no connection.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use relay::{CompanyId, ConnectionId};

use super::{Identity, TokenRefused};
use crate::app::App;
use crate::fleet::Known;
use crate::problem::Problem;
use crate::store::{StoreError, TenantScope, TenantTx};

/// The caller's company, and the only way of a handler to its rows and connections.
pub struct Tenant {
    app: App,
    identity: Identity,
}

impl Tenant {
    /// The company.
    #[must_use]
    pub const fn company(&self) -> &CompanyId {
        self.identity.company()
    }

    /// A transaction that sees the company's rows and no others.
    pub async fn begin(&self) -> Result<TenantTx, StoreError> {
        self.app.store().begin(&TenantScope::of_token(&self.identity)).await
    }

    /// The connection of that id, if it is the company's. Somebody else's is as unknown as one that never was.
    pub fn connection(&self, id: ConnectionId) -> Result<Known, Problem> {
        tracing::Span::current().record("connection", tracing::field::display(id));
        self.app
            .fleet()
            .connection(id)
            .filter(|known| known.company == *self.company())
            .ok_or_else(|| Problem::not_found("connection_not_found", "There is no connection of this id."))
    }

    /// All connections of the company, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Known> {
        self.app.fleet().of_company(self.company())
    }
}

impl FromRequestParts<App> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let verdict = bearer(parts).and_then(|token| app.tokens().verify(token));
        let identity = verdict.map_err(|refusal| {
            metrics::counter!("api_tokens_refused_total").increment(1);
            tracing::info!(reason = %refusal, "token refused");
            Problem::unauthorized(refusal)
        })?;
        tracing::Span::current().record("company", tracing::field::display(identity.company()));
        Ok(Self { app: app.clone(), identity })
    }
}

fn bearer(parts: &Parts) -> Result<&str, TokenRefused> {
    let header = parts.headers.get(AUTHORIZATION).ok_or(TokenRefused::Missing)?;
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(TokenRefused::Invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(TokenRefused::Missing) }
}
