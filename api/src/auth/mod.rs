//! Who calls. A verified token becomes an [`Identity`], the only thing besides the cluster's own word that opens a
//! company's rows. Nothing here reads a company from a request's body, path or query.

mod audit;
mod limits;
mod state;
mod tenant;
mod token;

pub use audit::{AuditLog, audit};
pub use limits::Limits;
pub use state::ApiState;
pub use tenant::Tenant;
pub use token::{EXAMPLE_SECRET, Identity, SHORTEST_SECRET, TokenKeys, TokenRefused};
