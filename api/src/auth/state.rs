//! The state of the router. It gives itself to the [`super::Tenant`] extractor and to nobody else: its fields are private
//! to this module, so a handler that asks for it holds a box that it cannot open.

use super::{Limits, TokenKeys};
use crate::app::App;

/// What the router holds for its extractors. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(super) app: App,
    pub(super) tokens: TokenKeys,
    pub(super) limits: Limits,
}

impl ApiState {
    /// Of the service's parts, what verifies tokens, and what counts requests.
    #[must_use]
    pub const fn new(app: App, tokens: TokenKeys, limits: Limits) -> Self {
        Self { app, tokens, limits }
    }
}
