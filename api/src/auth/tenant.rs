//! The extractor that opens a company, and the only thing a handler can get: no token, no rows, no connection, no Redis.
//! Everything it gives is the company's own.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use relay::{Command, CompanyId, ConnectionId, Envelope, LinkCode, SessionStatus};
use runtime::ambient;
use serde_json::Value;

use super::audit::Caller;
use super::{ApiState, Identity, TokenRefused};
use crate::app::App;
use crate::fleet::{Known, NewConnection};
use crate::problem::{Code, Problem};
use crate::store::{StoreError, TenantScope, TenantTx};

/// The caller's company.
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
            .ok_or_else(|| Problem::new(Code::ConnectionNotFound, "There is no connection of this id."))
    }

    /// All connections of the company, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Known> {
        self.app.fleet().of_company(self.company())
    }

    /// Makes a connection of the company, in its namespace.
    pub async fn create(&self, new: NewConnection) -> Result<Known, Problem> {
        let namespace = self.app.fleet().namespace_of(self.company()).ok_or_else(|| {
            let detail = "The cluster has no namespace for this company yet.";
            Problem::new(Code::CompanyNotProvisioned, detail)
        })?;
        Ok(self.app.fleet().create(self.company(), &namespace, new).await?)
    }

    /// Changes the spec of a connection that [`Tenant::connection`] gave.
    pub async fn change(&self, known: &Known, spec: Value) -> Result<Known, Problem> {
        Ok(self.app.fleet().change(known, spec).await?)
    }

    /// Deletes a connection that [`Tenant::connection`] gave.
    pub async fn delete(&self, known: &Known) -> Result<(), Problem> {
        Ok(self.app.fleet().delete(known).await?)
    }

    /// What the connection's session said last.
    pub async fn status(&self, known: &Known) -> Result<Option<Envelope<SessionStatus>>, Problem> {
        self.app.ask_relay(async |relay| relay.status(known.id).await).await
    }

    /// The code that links a phone now.
    pub async fn link_code(&self, known: &Known) -> Result<Option<LinkCode>, Problem> {
        self.app.ask_relay(async |relay| relay.link(known.id).await).await
    }

    /// Hands a command to the connection's session.
    pub async fn send(&self, known: &Known, command: Command) -> Result<(), Problem> {
        self.app.ask_relay(async |relay| relay.send(known.id, command, ambient::now()).await).await
    }
}

impl FromRequestParts<ApiState> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let verdict = bearer(parts).and_then(|token| state.tokens.verify(token));
        let identity = verdict.map_err(|refusal| {
            crate::metrics::TOKENS_REFUSED.count([]);
            tracing::info!(reason = %refusal, "token refused");
            Problem::unauthorized(refusal)
        })?;
        tracing::Span::current().record("company", tracing::field::display(identity.company()));
        if let Some(caller) = parts.extensions.get::<Caller>() {
            caller.is(&identity);
        }
        state.limits.count(identity.company()).map_err(Problem::too_many)?;
        Ok(Self { app: state.app.clone(), identity })
    }
}

fn bearer(parts: &Parts) -> Result<&str, TokenRefused> {
    let header = parts.headers.get(AUTHORIZATION).ok_or(TokenRefused::Missing)?;
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(TokenRefused::Invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(TokenRefused::Missing) }
}
