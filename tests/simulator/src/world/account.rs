//! One WhatsApp account: its chats, its messages, its linked devices and what each of them has not yet received.

use std::collections::{BTreeMap, VecDeque};

use super::ids::{ChatId, MessageId, Phone};
use super::views::{AccountView, Answers, ChatView, MessageView, SentView};
use crate::protocol::{AccountInfo, ChatInfo};

#[derive(Debug)]
pub(crate) struct Account {
    phone: Phone,
    pub(super) push_name: Option<String>,
    pub(super) chats: BTreeMap<ChatId, Chat>,
    /// In the order in which they came.
    pub(super) messages: Vec<StoredMessage>,
    pub(super) devices: BTreeMap<String, Device>,
    /// What pages sent, each send once.
    pub(super) sent: Vec<Send>,
    /// `disconnect` holds the pages off until `reconnect`.
    pub(super) held_off: bool,
    pub(super) answers: Answers,
}

#[derive(Debug, Default)]
pub(super) struct Chat {
    pub(super) push_name: Option<String>,
    /// The number behind a lid, once WhatsApp has told it.
    pub(super) phone: Option<Phone>,
    pub(super) group: Option<Group>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) subject: String,
    pub(super) participants: Vec<ChatId>,
}

#[derive(Debug)]
pub(super) struct StoredMessage {
    pub(super) view: MessageView,
    /// A page has marked its chat as read since.
    pub(super) seen: bool,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) key: String,
    /// Messages it has not confirmed, oldest first. They are new to it whenever it comes.
    pub(super) pending: VecDeque<MessageId>,
}

#[derive(Debug)]
pub(super) struct Send {
    /// The page's number of this send; the same one again is the same send, asked again after a break.
    pub(super) request: String,
    pub(super) view: SentView,
}

impl Account {
    pub(super) fn new(phone: Phone) -> Self {
        Self {
            phone,
            push_name: None,
            chats: BTreeMap::new(),
            messages: Vec::new(),
            devices: BTreeMap::new(),
            sent: Vec::new(),
            held_off: false,
            answers: Answers::default(),
        }
    }

    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    pub(super) fn info(&self) -> AccountInfo {
        AccountInfo { id: self.phone.chat(), lid: self.phone.lid(), push_name: self.push_name.clone() }
    }

    pub(super) fn view(&self, online: bool) -> AccountView {
        AccountView {
            phone: self.phone.clone(),
            lid: self.phone.lid(),
            push_name: self.push_name.clone(),
            devices: self.devices.len(),
            online,
            disconnected: self.held_off,
        }
    }

    pub(super) fn message(&self, id: &MessageId) -> Option<&StoredMessage> {
        self.messages.iter().find(|message| &message.view.id == id)
    }

    /// The chats by their newest message, newest first.
    pub(super) fn chat_views(&self) -> Vec<ChatView> {
        let newest = |id: &ChatId| self.messages.iter().rposition(|message| &message.view.chat == id);
        let mut views: Vec<_> = self
            .chats
            .iter()
            .map(|(id, chat)| ChatView {
                id: id.clone(),
                name: chat.group.as_ref().map_or_else(|| chat.push_name.clone(), |group| Some(group.subject.clone())),
                unread: self.unread(id, &VecDeque::new()),
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(newest(&view.id)));
        views
    }

    /// What a page is told about a chat. Messages that its device has not received count when it receives them.
    pub(super) fn chat_info(&self, id: &ChatId, pending: &VecDeque<MessageId>) -> Option<ChatInfo> {
        let chat = self.chats.get(id)?;
        Some(ChatInfo {
            id: id.clone(),
            push_name: chat.push_name.clone(),
            phone: chat.phone.clone(),
            lid: id.is_lid().then(|| id.clone()),
            subject: chat.group.as_ref().map(|group| group.subject.clone()),
            participants: chat.group.as_ref().map(|group| group.participants.clone()),
            unread: self.unread(id, pending),
        })
    }

    fn unread(&self, id: &ChatId, pending: &VecDeque<MessageId>) -> usize {
        let unread = |message: &&StoredMessage| {
            let view = &message.view;
            &view.chat == id && !view.from_me && !message.seen && !pending.contains(&view.id)
        };
        self.messages.iter().filter(unread).count()
    }
}
