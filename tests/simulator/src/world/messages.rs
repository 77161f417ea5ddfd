//! Messages in both directions, receipts and groups.

use serde_json::json;

use super::account::{Chat, Group, Send, StoredMessage};
use super::ids::{ChatId, MessageId, Phone};
use super::views::{Answers, ChatView, GroupRequest, MessageRequest, MessageView, SentView};
use super::{Moment, PageId, Refusal, Stage, World};
use crate::protocol::{Outgoing, ToPage};

impl World {
    /// A message comes in: stored, and delivered now or when a page connects.
    pub(crate) fn receive(
        &mut self,
        phone: &Phone,
        request: MessageRequest,
        moment: &Moment,
    ) -> Result<MessageId, Refusal> {
        request.check()?;
        let account = self.account_mut(phone)?;
        let chat = account.chats.entry(request.chat.clone()).or_insert_with(|| Chat::unknown(&request.chat));
        let name_changed = !request.from_me && request.author.is_none() && request.push_name != chat.push_name;
        if name_changed && request.push_name.is_some() {
            chat.push_name.clone_from(&request.push_name);
        }
        if request.phone.is_some() {
            chat.phone = request.phone;
        }
        let key = format!("3A{}", moment.key());
        let id = MessageId::new(request.from_me, &request.chat, &key, request.author.as_ref());
        let view = MessageView {
            id: id.clone(),
            chat: request.chat,
            author: request.author,
            from_me: request.from_me,
            kind: "chat".to_owned(),
            text: request.text,
            timestamp: moment.now.as_second(),
            ack: 1,
            push_name: request.push_name,
            quoted_id: None,
            late_decryption: request.late_decryption,
            silent: request.silent,
        };
        self.store(phone, view, None)?;
        Ok(id)
    }

    /// The account is a member of a group from now on, or the group has changed.
    pub(crate) fn group(&mut self, phone: &Phone, request: GroupRequest) -> Result<(), Refusal> {
        request.check()?;
        let account = self.account_mut(phone)?;
        let chat = account.chats.entry(request.id.clone()).or_default();
        chat.group = Some(Group { subject: request.subject, participants: request.participants });
        let info = account.chat_info(&request.id, &[].into());
        for id in self.synced_pages(phone, None) {
            if let Some(chat) = &info {
                self.tell(id, ToPage::Chat { chat: chat.clone() });
            }
        }
        Ok(())
    }

    /// Whether a person is on WhatsApp, asked by a page.
    pub(crate) fn exists(&mut self, id: PageId, request: String, chat: &ChatId) {
        self.tell(id, ToPage::answer(request, json!({ "exists": chat.is_on_whatsapp() })));
    }

    /// A page sends a message.
    pub(crate) fn send(&mut self, id: PageId, request: String, message: Outgoing, moment: &Moment) {
        let Some(Stage::Linked { phone, device, .. }) = self.pages.get(&id).map(|page| &page.stage) else { return };
        let (phone, device) = (phone.clone(), device.clone());
        let timestamp = moment.now.as_second();
        let Ok(account) = self.account_mut(&phone) else { return };
        let answers = account.answers;
        if answers == Answers::Nothing {
            return;
        }
        // Asked again after a break: it is the same send, not a second one.
        let asked_before = account.sent.iter().find(|send| send.request == request).map(|send| send.view.ack);
        let ack = asked_before.unwrap_or(if message.chat.refuses_messages() { -1 } else { 1 });
        if asked_before.is_none() {
            let view = SentView {
                id: message.id.clone(),
                chat: message.chat.clone(),
                text: message.text.clone(),
                timestamp,
                ack,
            };
            account.sent.push(Send { request: request.clone(), view });
        }
        if ack < 0 {
            return self.answer_send(id, answers, ToPage::refuse(request, "refused"));
        }
        let view = MessageView {
            id: message.id,
            chat: message.chat,
            author: None,
            from_me: true,
            kind: message.kind,
            text: message.text,
            timestamp,
            ack: 1,
            push_name: None,
            quoted_id: message.quoted_id,
            late_decryption: false,
            silent: false,
        };
        // The same id twice is one message for the receiver's phone, though it was sent twice.
        if asked_before.is_none() && account.message(&view.id).is_none() {
            account.chats.entry(view.chat.clone()).or_insert_with(|| Chat::unknown(&view.chat));
            // The account was there a line ago.
            drop(self.store(&phone, view, Some(&device)));
        }
        self.answer_send(id, answers, ToPage::answer(request, json!({ "timestamp": timestamp })));
    }

    fn answer_send(&mut self, id: PageId, answers: Answers, answer: ToPage) {
        if answers == Answers::Given {
            self.tell(id, answer);
        }
    }

    /// What pages hear of their sends from now on.
    pub(crate) fn answer_sends(&mut self, phone: &Phone, answers: Answers) -> Result<(), Refusal> {
        self.account_mut(phone)?.answers = answers;
        Ok(())
    }

    /// A receipt for a message the account sent.
    pub(crate) fn acknowledge(&mut self, phone: &Phone, id: &MessageId, ack: i8) -> Result<(), Refusal> {
        if !(2..=4).contains(&ack) {
            return Err(Refusal::Invalid("ack: 2 delivered, 3 read, 4 played".to_owned()));
        }
        let account = self.account_mut(phone)?;
        let message = account.messages.iter_mut().find(|message| &message.view.id == id && message.view.from_me);
        let message = message.ok_or_else(|| Refusal::NotFound(format!("{phone} sent no message {id}")))?;
        message.view.ack = message.view.ack.max(ack);
        for send in account.sent.iter_mut().filter(|send| &send.view.id == id) {
            send.view.ack = send.view.ack.max(ack);
        }
        for page in self.synced_pages(phone, None) {
            self.tell(page, ToPage::Receipt { id: id.clone(), ack });
        }
        Ok(())
    }

    /// Every send of the account's pages, oldest first.
    pub(crate) fn sent(&self, phone: &Phone) -> Result<Vec<SentView>, Refusal> {
        Ok(self.account(phone)?.sent.iter().map(|send| send.view.clone()).collect())
    }

    /// A chat's messages, oldest first.
    pub(crate) fn messages(&self, phone: &Phone, chat: &ChatId) -> Result<Vec<MessageView>, Refusal> {
        let account = self.account(phone)?;
        if !account.chats.contains_key(chat) {
            return Err(Refusal::NotFound(format!("{phone} has no chat {chat}")));
        }
        Ok(account.messages.iter().map(|message| &message.view).filter(|view| &view.chat == chat).cloned().collect())
    }

    /// The account's chats, newest first.
    pub(crate) fn chats(&self, phone: &Phone) -> Result<Vec<ChatView>, Refusal> {
        Ok(self.account(phone)?.chat_views())
    }

    /// The page has everything it may know: what is new to it follows.
    pub(crate) fn synced(&mut self, id: PageId) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        let Stage::Linked { phone, device, synced } = &mut page.stage else { return };
        *synced = true;
        let Some(account) = self.accounts.get(phone) else { return };
        let Some(device) = account.devices.get(device) else { return };
        let new: Vec<_> = device.pending.iter().filter_map(|id| account.message(id)).map(|m| m.view.clone()).collect();
        for message in new {
            self.tell(id, ToPage::Deliver { message });
        }
        self.tell(id, ToPage::DeliveryEnd);
    }

    /// The page has stored a message.
    pub(crate) fn received(&mut self, id: PageId, message: &MessageId) {
        let Some(Stage::Linked { phone, device, .. }) = self.pages.get(&id).map(|page| &page.stage) else { return };
        let device = self.accounts.get_mut(phone).and_then(|account| account.devices.get_mut(device));
        if let Some(device) = device {
            device.pending.retain(|pending| pending != message);
        }
    }

    /// A page has marked a chat as read.
    pub(crate) fn read(&mut self, id: PageId, chat: &ChatId) {
        let Some(Stage::Linked { phone, .. }) = self.pages.get(&id).map(|page| &page.stage) else { return };
        let messages = self.accounts.get_mut(phone).map(|account| account.messages.as_mut_slice());
        for message in messages.unwrap_or_default().iter_mut().filter(|message| &message.view.chat == chat) {
            message.seen = true;
        }
    }

    /// Files a message and sends it to every device but the one it came from.
    fn store(&mut self, phone: &Phone, view: MessageView, from: Option<&str>) -> Result<(), Refusal> {
        let account = self.account_mut(phone)?;
        for (_, device) in account.devices.iter_mut().filter(|(name, _)| Some(name.as_str()) != from) {
            device.pending.push_back(view.id.clone());
        }
        let chat = account.chat_info(&view.chat, &[].into());
        let news = [chat.map(|chat| ToPage::Chat { chat }), Some(ToPage::Deliver { message: view.clone() })];
        account.messages.push(StoredMessage { view, seen: false });
        for id in self.synced_pages(phone, from) {
            for each in news.iter().flatten() {
                self.tell(id, each.clone());
            }
        }
        Ok(())
    }

    fn synced_pages(&self, phone: &Phone, but: Option<&str>) -> Vec<PageId> {
        let wanted = |device: Option<&str>| device.is_some() && device != but;
        self.pages.iter().filter(|(_, page)| wanted(page.synced_device(phone))).map(|(id, _)| *id).collect()
    }
}

impl Chat {
    /// A chat nobody has described; a group needs at least a name.
    fn unknown(id: &ChatId) -> Self {
        let group = id.is_group().then(|| Group { subject: "Group".to_owned(), participants: Vec::new() });
        Self { group, ..Self::default() }
    }
}
