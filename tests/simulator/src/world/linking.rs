//! How a page and a phone come together and part: hello, scan, pairing code, logout.

use super::account::{Account, Device};
use super::ids::Phone;
use super::views::Names;
use super::{Moment, Outbox, PageId, Refusal, Stage, World};
use crate::protocol::{Keys, Login, ToPage};

/// Told to a device that is not (any more) one of the account's.
const UNKNOWN_DEVICE: &str = "unknown_companion";

impl World {
    /// A page has connected. None when its account is held off: it is turned away and will try again.
    pub(crate) fn hello(&mut self, login: Option<Login>, keys: Keys, moment: &Moment) -> Option<(PageId, Outbox)> {
        if login.as_ref().is_some_and(|login| self.accounts.get(&login.phone).is_some_and(|account| account.held_off)) {
            return None;
        }
        let (id, outbox) = self.add_page(keys, moment);
        match login {
            None => self.refresh_qr(id, moment),
            Some(login) if self.knows(&login) => self.log_in(id, &login.phone, &login.device),
            Some(_) => self.tell(id, ToPage::LoggedOut { reason: UNKNOWN_DEVICE.to_owned() }),
        }
        Some((id, outbox))
    }

    /// The phone scans the QR code that a page shows.
    pub(crate) fn scan(&mut self, qr: &str, phone: Phone, names: Names, moment: &Moment) -> Result<(), Refusal> {
        let showing = self.pages.keys().copied().find(|id| self.shown_qr(*id) == Some(qr));
        let id = showing.ok_or_else(|| Refusal::NotFound("no live page shows this QR code".to_owned()))?;
        self.link(id, phone, names, moment);
        Ok(())
    }

    /// The person types the pairing code into the phone.
    pub(crate) fn pair(&mut self, phone: Phone, code: &str, names: Names, moment: &Moment) -> Result<(), Refusal> {
        let typed = code.replace('-', "").to_uppercase();
        let shows = |page: &&PageId| {
            let pairing = self.pages.get(page).and_then(|page| page.pairing());
            pairing.is_some_and(|(its_phone, its_code)| *its_phone == phone && *its_code == typed)
        };
        let id = self.pages.keys().find(shows).copied();
        let id =
            id.ok_or_else(|| Refusal::NotFound("no live page shows this pairing code for this phone".to_owned()))?;
        self.link(id, phone, names, moment);
        Ok(())
    }

    /// A page asks for a pairing code.
    pub(crate) fn pairing_code(&mut self, id: PageId, request: String, phone: Phone, moment: &Moment) {
        let code: String = moment.secret().to_uppercase().chars().take(8).collect();
        let Some(page) = self.pages.get_mut(&id) else { return };
        match &mut page.stage {
            Stage::Waiting { pairing, .. } | Stage::Idle { pairing } => *pairing = Some((phone, code.clone())),
            Stage::Linked { .. } | Stage::Leaving => return self.tell(id, ToPage::refuse(request, "already linked")),
        }
        self.tell(id, ToPage::answer(request, serde_json::json!({ "code": code })));
    }

    /// The pairing codes that pages show for this phone are void.
    pub(crate) fn expire_pairing(&mut self, phone: &Phone) -> Result<(), Refusal> {
        let mut void = Vec::new();
        for (id, page) in &mut self.pages {
            if let Stage::Waiting { pairing, .. } | Stage::Idle { pairing } = &mut page.stage
                && pairing.take_if(|(its_phone, _)| its_phone == phone).is_some()
            {
                void.push(*id);
            }
        }
        if void.is_empty() {
            return Err(Refusal::NotFound(format!("no live page shows a pairing code for {phone}")));
        }
        for id in void {
            self.tell(id, ToPage::PairingExpired);
        }
        Ok(())
    }

    /// The page has stored its login: it may know the chats now.
    pub(crate) fn stored(&mut self, id: PageId) {
        if let Some(Stage::Linked { phone, device, .. }) = self.pages.get(&id).map(|page| &page.stage) {
            let (phone, device) = (phone.clone(), device.clone());
            self.sync(id, &phone, &device);
        }
    }

    /// The phone unlinks all its devices.
    pub(crate) fn log_out(&mut self, phone: &Phone, reason: &str) -> Result<(), Refusal> {
        let account = self.account_mut(phone)?;
        if account.devices.is_empty() {
            return Err(Refusal::Conflict(format!("no device is linked to {phone}")));
        }
        account.devices.clear();
        for id in self.pages_of(self.account(phone)?) {
            self.dismiss(id, reason);
        }
        Ok(())
    }

    /// A page unlinks itself.
    pub(crate) fn leave(&mut self, id: PageId) {
        if let Some(Stage::Linked { phone, device, .. }) = self.pages.get(&id).map(|page| &page.stage) {
            let (phone, device) = (phone.clone(), device.clone());
            if let Ok(account) = self.account_mut(&phone) {
                account.devices.remove(&device);
            }
            self.dismiss(id, "user_initiated");
        }
    }

    fn dismiss(&mut self, id: PageId, reason: &str) {
        if let Some(page) = self.pages.get_mut(&id) {
            page.stage = Stage::Leaving;
        }
        self.tell(id, ToPage::LoggedOut { reason: reason.to_owned() });
    }

    fn knows(&self, login: &Login) -> bool {
        let device = self.accounts.get(&login.phone).and_then(|account| account.devices.get(&login.device));
        device.is_some_and(|device| device.key == login.key)
    }

    fn link(&mut self, id: PageId, phone: Phone, names: Names, moment: &Moment) {
        let account = self.accounts.entry(phone.clone()).or_insert_with(|| Account::new(phone.clone()));
        account.push_name = names.push_name.or(account.push_name.take());
        let secret = moment.secret();
        let (device, key) = secret.split_at(secret.len() / 2);
        let login = Login { phone: phone.clone(), device: device.to_owned(), key: key.to_owned() };
        account.devices.insert(device.to_owned(), Device { key: key.to_owned(), pending: [].into() });
        let account = account.info();
        if let Some(page) = self.pages.get_mut(&id) {
            page.stage = Stage::Linked { phone, device: device.to_owned(), synced: false };
        }
        self.tell(id, ToPage::Paired { login, account });
    }

    /// A page came back with its login. An older page of the same device is put out: a device is in one place only.
    fn log_in(&mut self, id: PageId, phone: &Phone, device: &str) {
        let same =
            |stage: &Stage| matches!(stage, Stage::Linked { phone: p, device: d, .. } if p == phone && d == device);
        let older: Vec<_> = self.pages.iter().filter(|(_, page)| same(&page.stage)).map(|(id, _)| *id).collect();
        for older in older {
            self.tell(older, ToPage::Conflict);
            self.remove_page(older);
        }
        if let Some(page) = self.pages.get_mut(&id) {
            page.stage = Stage::Linked { phone: phone.clone(), device: device.to_owned(), synced: false };
        }
        self.sync(id, phone, device);
    }

    fn sync(&mut self, id: PageId, phone: &Phone, device: &str) {
        let Some(account) = self.accounts.get(phone) else { return };
        let Some(pending) = account.devices.get(device).map(|device| &device.pending) else { return };
        let chats = account.chats.keys().filter_map(|chat| account.chat_info(chat, pending)).collect();
        let known = account.messages.iter().map(|message| &message.view).filter(|view| !pending.contains(&view.id));
        let sync = ToPage::Sync { account: account.info(), chats, messages: known.cloned().collect() };
        self.tell(id, sync);
    }
}
