//! `/whatsapp/connections/{id}/chats`: the conversations of a connection.

pub mod list;
pub mod view;
