//! `/whatsapp/connections`: the company's accounts. Each is a custom resource; nothing of it is stored here.

pub mod connect;
pub mod create;
pub mod delete;
pub mod disconnect;
pub mod get;
pub mod link_code;
pub mod list;
pub mod live;
pub mod log;
pub mod logout;
pub mod name;
pub mod patch;
pub mod qr;
pub mod view;
