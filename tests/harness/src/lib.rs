//! Real servers for component tests: each on a free loopback port, in a directory of its own, and ended with the test
//! process however that ends. Nothing here knows the product, and nothing of the product depends on it but its tests.
//!
//! What a server cannot do is told by a panic with its log: a test has no use for an error value it would only unwrap.

mod busy;
mod clock;
mod collector;
mod control_plane;
mod eventually;
mod golden;
mod http;
mod ports;
mod postgres;
mod proxy;
mod redis;
mod server;

pub use busy::Busy;
pub use clock::Clock;
pub use collector::{CollectedSpan, Collector};
pub use control_plane::ControlPlane;
pub use eventually::eventually;
pub use golden::golden_section;
pub use http::http_get;
pub use ports::free_block;
pub use postgres::Postgres;
pub use proxy::{Fault, Proxy};
pub use redis::Redis;
