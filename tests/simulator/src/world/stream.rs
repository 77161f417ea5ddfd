//! What befalls a page's connection: lost and back, opened elsewhere.

use super::ids::Phone;
use super::{Ban, Refusal, World};
use crate::protocol::ToPage;

impl World {
    /// The account's pages lose their connection, and are turned away until `reconnect`.
    pub(crate) fn disconnect(&mut self, phone: &Phone) -> Result<(), Refusal> {
        self.account_mut(phone)?.held_off = true;
        for id in self.pages_of(self.account(phone)?) {
            self.remove_page(id);
        }
        Ok(())
    }

    /// The account's pages are let in again. They try by themselves.
    pub(crate) fn reconnect(&mut self, phone: &Phone) -> Result<(), Refusal> {
        self.account_mut(phone)?.held_off = false;
        Ok(())
    }

    /// The account's pages load themselves anew, as WhatsApp's do for an update.
    pub(crate) fn reload(&mut self, phone: &Phone) -> Result<(), Refusal> {
        for id in self.pages_of(self.account(phone)?) {
            self.tell(id, ToPage::Reload);
        }
        Ok(())
    }

    /// WhatsApp tells the account's pages of a ban.
    pub(crate) fn ban(&mut self, phone: &Phone, kind: Ban) -> Result<(), Refusal> {
        for id in self.pages_of(self.account(phone)?) {
            self.tell(id, ToPage::Banned { kind });
        }
        Ok(())
    }

    /// The account is opened elsewhere: its pages give up until they are loaded anew.
    pub(crate) fn conflict(&mut self, phone: &Phone) -> Result<(), Refusal> {
        let pages = self.pages_of(self.account(phone)?);
        if pages.is_empty() {
            return Err(Refusal::Conflict(format!("no page of {phone} is connected")));
        }
        for id in pages {
            self.tell(id, ToPage::Conflict);
            self.remove_page(id);
        }
        Ok(())
    }
}
