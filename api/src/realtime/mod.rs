//! What goes to clients without being asked for: Socket.IO, and the hub that feeds it.

mod audience;
mod hub;
mod member;
mod positions;
mod resume;
mod socketio;
mod transports;

pub use audience::Audience;
pub use hub::{Listening, run};
pub use socketio::{Lobby, expire, sockets};
pub use transports::{Transports, Upgraded, remember};
