//! What stands in for a session pod: it holds the lease and speaks through the real relay.

use harness::eventually;
use jiff::{SignedDuration, Timestamp};
use relay::{
    Acquired, Chat, ChatId, Command, CommandAction, ConnectionId, Endpoint, EngineVersions, Event, Fence, Lease,
    LinkCode, LinkKind, Message, Names, Offset, Outcome, Redis, SessionRelay, SessionState, SessionStatus, StateChange,
};
use runtime::ambient;

use crate::world::SOON;

pub struct Session {
    pub relay: SessionRelay,
    pub redis: Redis,
    pub fence: Fence,
    names: Names,
    sequence: u64,
}

impl Session {
    pub async fn start(endpoint: &Endpoint, connection: ConnectionId) -> Self {
        let mut redis = endpoint.connect().unwrap();
        let Acquired::Held(lease) = Lease::acquire(&mut redis, connection, "pod", None).await.unwrap() else {
            panic!("the lease is taken");
        };
        let relay = SessionRelay::new(redis.clone(), connection, &lease);
        Self { relay, redis, fence: lease.fence, names: Names(connection), sequence: 0 }
    }

    pub async fn say(&mut self, state: SessionState) {
        let now = ambient::now();
        self.sequence += 1;
        let status = SessionStatus {
            state,
            reason: None,
            since: now,
            sequence: self.sequence,
            pod_uid: "pod".to_owned(),
            account: None,
            last_connected_at: None,
            last_disconnect: None,
            engine: EngineVersions::default(),
            link: None,
        };
        self.relay.set_status(&status, now).await.unwrap();
        self.relay.append(&Event::State(StateChange { state, reason: None }), now).await.unwrap();
    }

    pub async fn connected(&mut self) {
        self.say(SessionState::Connected).await;
    }

    pub async fn append(&mut self, event: &Event) -> Offset {
        self.relay.append(event, ambient::now()).await.unwrap()
    }

    pub async fn show_qr(&mut self, code: &str) {
        let now = ambient::now();
        let expires_at = now + SignedDuration::from_secs(20);
        let code = LinkCode { kind: LinkKind::Qr, code: code.to_owned(), attempt: 1, expires_at };
        self.relay.set_link(Some(&code), now).await.unwrap();
    }

    /// Waits until its own connection to a Redis that was away works again.
    pub async fn has_redis_again(&mut self) {
        eventually(SOON, "the session's connection to Redis", async || {
            redis::cmd("PING").query_async::<String>(&mut self.redis).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// An entry as no session of ours writes it.
    pub async fn append_raw(&mut self, text: &str) {
        let mut add = redis::cmd("XADD");
        add.arg(self.names.events()).arg("*").arg("e").arg(text).arg("p").arg("0-0");
        let _: String = add.query_async(&mut self.redis).await.unwrap();
    }

    pub async fn stream_length(&mut self) -> usize {
        redis::cmd("XLEN").arg(self.names.events()).query_async(&mut self.redis).await.unwrap()
    }

    /// The next command that is a send or what `wanted` says; others are done on the way.
    pub async fn next_command(&mut self, wanted: impl Fn(&CommandAction) -> bool) -> Command {
        eventually(SOON, "a command", async || {
            for (offset, command) in self.relay.commands(Offset::START).await.map_err(|error| error.to_string())? {
                self.relay.finish(offset).await.unwrap();
                let command = command.unwrap();
                if wanted(&command.action) {
                    return Ok(command);
                }
            }
            Err("none".to_owned())
        })
        .await
    }

    pub async fn next_send(&mut self) -> Command {
        self.next_command(|action| matches!(action, CommandAction::SendText { .. })).await
    }

    pub async fn sends_waiting(&mut self) -> usize {
        let commands = self.relay.commands(Offset::START).await.unwrap();
        let sends = commands
            .iter()
            .filter(|(_, command)| matches!(command.as_ref().unwrap().action, CommandAction::SendText { .. }));
        sends.count()
    }

    pub async fn end(&mut self, command: &Command, outcome: Outcome) {
        self.append(&Event::CommandDone { command: command.id, outcome }).await;
    }
}

pub fn incoming(chat: &str, id: &str, text: &str, second: i64) -> Message {
    Message {
        id: format!("false_{chat}_{id}").parse().unwrap(),
        chat: chat.parse().unwrap(),
        author: Some(chat.to_owned()),
        push_name: Some("Ana".to_owned()),
        from_me: false,
        message_type: "chat".to_owned(),
        text: Some(text.to_owned()),
        sent_at: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        ack: 0,
        quoted: None,
        recovered: false,
    }
}

pub fn chat(id: &str, name: &str) -> Chat {
    let id: ChatId = id.parse().unwrap();
    Chat { id, name: Some(name.to_owned()), unread: 3, last_activity_at: None, phone: None, lid: None }
}
