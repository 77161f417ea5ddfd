//! `/whatsapp/audit`: who tried to change what in the company. What writes it is `auth::audit`.

pub mod list;
