//! What every binary needs and no domain knows: settings, telemetry, the admin server, orderly shutdown, and the only
//! places where the clock and the source of randomness are read.

pub mod admin;
pub mod ambient;
pub mod health;
pub mod metrics;
pub mod otlp;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod trace;
