//! A stand-in for WhatsApp: a TLS server whose page fakes WhatsApp Web's internal modules under the unmodified wa-js, and
//! a control API that plays the phones. Accounts, chats and messages live here, in memory; a page's login lives in its
//! browser's profile. Nothing here may be kinder than WhatsApp without a comment that says so.

mod control;
mod link;
mod listener;
mod page;
mod plan;
mod protocol;
mod simulator;
mod tls;
mod world;

pub use plan::PagePlan;
pub use simulator::{Error, Simulator, SimulatorSettings};
pub use tls::spki_of;
pub use world::{
    AccountView, Answers, Ban, ChatId, ChatView, GroupRequest, MessageId, MessageRequest, MessageView, PageView, Phone,
    Refusal, SentView,
};
