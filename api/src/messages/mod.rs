//! Messages: `/whatsapp/chats/{id}/messages` and the first one to somebody, `/whatsapp/connections/{id}/messages`.

pub mod first_contact;
pub mod list;
pub mod outbox;
pub mod reply;
pub mod send;
pub mod text;
pub mod view;
