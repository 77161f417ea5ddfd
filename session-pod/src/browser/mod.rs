//! The browser: its process, its profile, and the protocol that steers it. Nothing here knows WhatsApp's page.

pub mod cdp;
pub mod flags;
pub mod kill;
pub mod page;
pub mod process;
pub mod profile;
pub mod reaper;
pub mod set_aside;
