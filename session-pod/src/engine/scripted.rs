//! An engine whose store a test fills by hand, for the tests of what reads it. It has no browser and tells nothing.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use relay::{Chat, ChatId, MessageId};
use tokio::sync::{Notify, mpsc};

use super::{Engine, EngineError, EngineEvent, Pace, Page};
use crate::session::CodeText;
use crate::settings::Linking;

/// The engine.
#[derive(Default)]
pub struct Scripted {
    /// What the store holds.
    pub chats: Vec<Chat>,
    /// Its chats' messages, newest first, as they are given page by page.
    pub pages: Mutex<VecDeque<Result<Page, EngineError>>>,
    /// Told when it was started again, which then never comes to an end. Each start before is lost at once.
    pub hangs: Option<Notify>,
    /// Whether it was started once.
    pub started: AtomicBool,
}

#[async_trait]
impl Engine for Scripted {
    async fn start(&self) -> mpsc::Receiver<EngineEvent> {
        if self.started.swap(true, Ordering::Relaxed)
            && let Some(hangs) = &self.hangs
        {
            hangs.notify_one();
            return std::future::pending().await;
        }
        mpsc::channel(1).1
    }

    async fn stop(&self, _: Pace) {}

    async fn reload(&self) -> Result<(), EngineError> {
        Err(EngineError::NotReady)
    }

    async fn set_aside(&self) -> std::io::Result<()> {
        Ok(())
    }

    async fn send_text(&self, _: &MessageId, _: &ChatId, _: &str) -> Result<MessageId, EngineError> {
        Err(EngineError::NotReady)
    }

    async fn find(&self, _: &MessageId) -> Result<Option<MessageId>, EngineError> {
        Err(EngineError::NotReady)
    }

    async fn new_code(&self, _: &Linking) -> Result<Option<CodeText>, EngineError> {
        Err(EngineError::NotReady)
    }

    async fn logout(&self) -> Result<(), EngineError> {
        Err(EngineError::NotReady)
    }

    async fn chats(&self, _: u32) -> Result<Vec<Chat>, EngineError> {
        Ok(self.chats.clone())
    }

    async fn messages(&self, _: &ChatId, _: u32, _: Option<&MessageId>) -> Result<Page, EngineError> {
        let page = self.pages.lock().expect("not poisoned").pop_front();
        page.unwrap_or_else(|| Ok(Page::default()))
    }
}
