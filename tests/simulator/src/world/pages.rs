//! The pages that are connected, what each of them shows, and the queue to each.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::account::Account;
use super::ids::Phone;
use super::views::PageView;
use super::{Moment, PageId, World};
use crate::protocol::{Keys, ToPage};

/// How far a page may fall behind; one that does is disconnected, and comes back with a fresh start.
const OUTBOX: usize = 1024;

/// The queue to a page. Its receiver ends when the page is dropped.
pub(crate) type Outbox = mpsc::Receiver<ToPage>;

#[derive(Debug)]
pub(crate) struct LivePage {
    outbox: mpsc::Sender<ToPage>,
    keys: Keys,
    pub(super) stage: Stage,
    connected_at: Timestamp,
}

/// What a page is about.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Shows the `shown`th QR code, and perhaps a pairing code for a phone.
    Waiting { code: String, shown: u32, pairing: Option<(Phone, String)> },
    /// Shows no code until it asks for one.
    Idle { pairing: Option<(Phone, String)> },
    /// Logged in; `synced` once it can take new messages.
    Linked { phone: Phone, device: String, synced: bool },
    /// Told to go, and about to.
    Leaving,
}

impl LivePage {
    /// The account it is logged in to.
    pub(super) fn phone(&self) -> Option<&Phone> {
        match &self.stage {
            Stage::Linked { phone, .. } => Some(phone),
            _ => None,
        }
    }

    /// The device it is, once it can take new messages.
    pub(super) fn synced_device(&self, of: &Phone) -> Option<&str> {
        match &self.stage {
            Stage::Linked { phone, device, synced: true } if phone == of => Some(device),
            _ => None,
        }
    }

    pub(super) fn pairing(&self) -> Option<&(Phone, String)> {
        match &self.stage {
            Stage::Waiting { pairing, .. } | Stage::Idle { pairing } => pairing.as_ref(),
            _ => None,
        }
    }
}

impl World {
    /// A page has connected; what it is about is decided next.
    pub(crate) fn add_page(&mut self, keys: Keys, moment: &Moment) -> (PageId, Outbox) {
        let id = self.next_page;
        self.next_page += 1;
        let (outbox, receiver) = mpsc::channel(OUTBOX);
        let page = LivePage { outbox, keys, stage: Stage::Leaving, connected_at: moment.now };
        self.pages.insert(id, page);
        (id, receiver)
    }

    /// A page has gone.
    pub(crate) fn remove_page(&mut self, id: PageId) {
        self.pages.remove(&id);
    }

    /// Every connected page.
    pub(crate) fn pages(&self) -> Vec<PageView> {
        let view = |(id, page): (&PageId, &LivePage)| PageView {
            id: *id,
            qr: match &page.stage {
                Stage::Waiting { code, .. } => Some(code.clone()),
                _ => None,
            },
            pairing_code: page.pairing().map(|(_, code)| code.clone()),
            phone: page.phone().cloned(),
            connected_at: page.connected_at,
        };
        self.pages.iter().map(view).collect()
    }

    /// Which QR code a page shows, counted, or none.
    pub(crate) fn shown_qr(&self, id: PageId) -> Option<&str> {
        match &self.pages.get(&id)?.stage {
            Stage::Waiting { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Shows a new QR code, the first of a series.
    pub(crate) fn refresh_qr(&mut self, id: PageId, moment: &Moment) {
        self.show_qr(id, 1, moment);
    }

    /// The time of a QR code is over: the next one, or none when there were enough.
    pub(crate) fn next_qr(&mut self, id: PageId, moment: &Moment) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        let Stage::Waiting { shown, pairing, .. } = &page.stage else { return };
        let (shown, pairing) = (*shown, pairing.clone());
        if shown < self.qr.codes {
            self.show_qr(id, shown + 1, moment);
        } else {
            page.stage = Stage::Idle { pairing };
            self.tell(id, ToPage::Idle);
        }
    }

    fn show_qr(&mut self, id: PageId, shown: u32, moment: &Moment) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        if page.phone().is_some() {
            return;
        }
        let reference = format!("2@{}", moment.secret());
        let Keys { noise, identity, adv } = &page.keys;
        let code = format!("{reference},{noise},{identity},{adv}");
        page.stage = Stage::Waiting { code, shown, pairing: page.pairing().cloned() };
        self.tell(id, ToPage::Ref { r#ref: reference });
    }

    /// Queues something for a page, and drops a page whose queue is full.
    pub(super) fn tell(&mut self, id: PageId, what: ToPage) {
        if self.pages.get(&id).is_some_and(|page| page.outbox.try_send(what).is_err()) {
            self.pages.remove(&id);
        }
    }

    /// The pages of an account.
    pub(super) fn pages_of(&self, account: &Account) -> Vec<PageId> {
        let of = |(id, page): (&PageId, &LivePage)| (page.phone() == Some(account.phone())).then_some(*id);
        self.pages.iter().filter_map(of).collect()
    }
}
