//! All that the simulator knows: live pages and accounts. No I/O but the bounded queues to the pages; time and randomness
//! come in as a `Moment`. One lock holds it all, and nothing waits under it.

mod account;
mod ids;
mod linking;
mod messages;
mod pages;
mod stream;
mod views;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::plan::PagePlan;

pub(crate) use self::account::Account;
pub use self::ids::{ChatId, MessageId, Phone};
pub(crate) use self::pages::{LivePage, Outbox, Stage};
pub use self::views::{
    AccountView, Answers, Ban, ChatView, GroupRequest, MessageRequest, MessageView, Names, PageView, SentView,
};

/// The number of a page since the simulator started; a page that reconnects has a new one.
pub type PageId = u64;

/// Why something cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Impossible as asked.
    #[error("{0}")]
    Invalid(String),
    /// What it is about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Not in this state.
    #[error("{0}")]
    Conflict(String),
}

/// The time, and randomness for what is made at that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) random: [u8; 32],
}

impl Moment {
    /// The moment of the caller.
    pub(crate) fn ambient() -> Self {
        Self { now: runtime::ambient::now(), random: runtime::ambient::random_bytes() }
    }

    /// 18 characters, as WhatsApp's message keys have after their prefix.
    fn key(&self) -> String {
        hex::encode_upper(self.random.get(..9).unwrap_or_default())
    }

    fn secret(&self) -> String {
        hex::encode(self.random)
    }
}

/// How a page's QR codes go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QrRules {
    /// How many codes a page shows before it stops until it is refreshed.
    pub(crate) codes: u32,
}

/// The state of the simulated WhatsApp.
#[derive(Debug)]
pub(crate) struct World {
    qr: QrRules,
    next_page: PageId,
    pages: BTreeMap<PageId, LivePage>,
    accounts: BTreeMap<Phone, Account>,
    plan: PagePlan,
}

impl World {
    pub(crate) fn new(qr: QrRules) -> Self {
        Self { qr, next_page: 1, pages: BTreeMap::new(), accounts: BTreeMap::new(), plan: PagePlan::default() }
    }

    /// What pages are like that are loaded now.
    pub(crate) fn plan(&self) -> &PagePlan {
        &self.plan
    }

    /// Pages that are loaded from now on are like this.
    pub(crate) fn plan_page(&mut self, plan: PagePlan) -> Result<(), Refusal> {
        plan.check()?;
        self.plan = plan;
        Ok(())
    }

    /// Every account.
    pub(crate) fn accounts(&self) -> Vec<AccountView> {
        let online = |phone: &Phone| self.pages.values().any(|page| page.phone() == Some(phone));
        self.accounts.values().map(|account| account.view(online(account.phone()))).collect()
    }

    fn account(&self, phone: &Phone) -> Result<&Account, Refusal> {
        self.accounts.get(phone).ok_or_else(|| no_account(phone))
    }

    fn account_mut(&mut self, phone: &Phone) -> Result<&mut Account, Refusal> {
        self.accounts.get_mut(phone).ok_or_else(|| no_account(phone))
    }
}

fn no_account(phone: &Phone) -> Refusal {
    Refusal::NotFound(format!("no account {phone}: it is created when it scans a QR code"))
}
