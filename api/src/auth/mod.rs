//! Who calls. A verified token becomes an [`Identity`], the only thing besides the cluster's own word that opens a
//! company's rows. Nothing here reads a company from a request's body, path or query.

mod tenant;
mod token;

pub use tenant::Tenant;
pub use token::{EXAMPLE_SECRET, Identity, SHORTEST_SECRET, TokenKeys, TokenRefused};
