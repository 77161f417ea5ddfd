//! What every endpoint needs from HTTP and nothing of what any of them does: bodies, ids, pages, idempotency, and the
//! layers around them. Each refusal is a [`crate::problem::Problem`].

mod body;
mod etag;
mod fields;
mod idempotency;
mod layers;
mod line;
mod listener;
mod object;
mod observe;
mod page;
mod path;

pub use body::Body;
pub use fields::{Fields, text};
pub use idempotency::{IdempotencyKey, Repeatable, kept, settled};
pub use layers::wrap;
pub use line::{Line, Lines};
pub use listener::{HEAD, serve};
pub use object::Object;
pub use page::{ListParams, Page};
pub use path::PathId;
