//! Whose rows a transaction may touch. A scope is made from a verified token or from a connection that the cluster
//! vouches for, from nothing else: no handler can name a company by itself.

use relay::CompanyId;

use crate::auth::Identity;
use crate::fleet::Known;

/// The right to one company's rows.
#[derive(Debug, Clone)]
pub struct TenantScope(CompanyId);

impl TenantScope {
    /// Of whoever showed a token that was verified.
    #[must_use]
    pub fn of_token(identity: &Identity) -> Self {
        Self(identity.company().clone())
    }

    /// Of the company whose namespace holds the connection.
    #[must_use]
    pub fn of_connection(known: &Known) -> Self {
        Self(known.company.clone())
    }

    /// The company.
    #[must_use]
    pub const fn company(&self) -> &CompanyId {
        &self.0
    }
}
