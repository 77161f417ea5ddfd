//! What goes to clients without being asked for: Socket.IO, and the hub that feeds it.

pub mod hub;
pub mod socketio;
