//! How each command is done. No outcome means: not now, or nobody knows; it is tried or looked up again.

use relay::{ChatId, Command, CommandAction, MessageId, Outcome};

use super::{Ask, Commands};
use crate::engine::EngineError;
use crate::sync;

impl Commands {
    pub(super) async fn carry_out(&mut self, command: &Command) -> Option<Outcome> {
        match &command.action {
            CommandAction::SendText { message, chat, text } => self.send_text(message, chat, text).await,
            CommandAction::RefreshQr => self.ask(Ask::NewCode).await.then_some(Outcome::Done),
            CommandAction::Logout => {
                self.ask(Ask::LogoutComes).await;
                ended(&self.engine.logout().await)
            }
            CommandAction::ListChats { chats, messages } => {
                ended(&sync::list(&*self.engine, &self.journal, *chats, *messages, runtime::ambient::now).await)
            }
        }
    }

    /// Sends once. The page is asked for the id first, because a send may have happened whose answer was lost.
    async fn send_text(&mut self, message: &MessageId, chat: &ChatId, text: &str) -> Option<Outcome> {
        match self.engine.find(message).await {
            Ok(None) => {}
            Ok(Some(actual)) => return Some(self.sent(message, &actual)),
            unknown => return ended(&unknown),
        }
        // The bridge asks WhatsApp whether a person exists before it writes to somebody new.
        let sent = self.engine.send_text(message, chat, text).await;
        let outcome = match sent {
            Ok(actual) => Some(self.sent(message, &actual)),
            // It may be sent all the same; the page knows.
            Err(EngineError::Refused("internal") | EngineError::Unintelligible(_)) => {
                match self.engine.find(message).await {
                    Ok(Some(actual)) => Some(self.sent(message, &actual)),
                    Ok(None) => Some(Outcome::Failed { reason: "internal".to_owned() }),
                    unknown => ended(&unknown),
                }
            }
            failed => ended(&failed),
        };
        tokio::time::sleep(self.gap.draw(runtime::ambient::random_fraction())).await;
        outcome
    }

    /// Whether a send that was begun has happened.
    pub(super) async fn look_up(&mut self, command: &Command) -> Option<Outcome> {
        let CommandAction::SendText { message, .. } = &command.action else { return Some(Outcome::Expired) };
        match self.engine.find(message).await {
            Ok(Some(actual)) => Some(self.sent(message, &actual)),
            Ok(None) => Some(Outcome::Expired),
            unknown => ended(&unknown),
        }
    }

    fn sent(&self, chosen: &MessageId, actual: &MessageId) -> Outcome {
        self.journal.learn_alias(chosen, actual);
        Outcome::Done
    }

    pub(super) async fn ask(&self, ask: Ask) -> bool {
        self.asks.send(ask).await.is_ok()
    }
}

/// The outcome, if there is one yet.
fn ended<T>(result: &Result<T, EngineError>) -> Option<Outcome> {
    match result {
        Ok(_) => Some(Outcome::Done),
        Err(EngineError::Refused(reason)) => Some(Outcome::Failed { reason: (*reason).to_owned() }),
        Err(EngineError::Unintelligible(_) | EngineError::Gone) => {
            Some(Outcome::Failed { reason: "internal".to_owned() })
        }
        Err(EngineError::NotReady | EngineError::Timeout | EngineError::Silent) => None,
    }
}
