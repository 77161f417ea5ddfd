//! A Socket.IO client over long polling, as thin as the protocol is (Engine.IO 4, Socket.IO 5). The real one is met in
//! the end-to-end suite.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::http::{Answer, Caller};

/// Packets of one answer stand side by side with this between them.
const BETWEEN: char = '\u{1e}';

/// Longest wait for one packet.
const PACKET: Duration = Duration::from_secs(20);

pub struct Socket {
    caller: Caller,
    path: String,
    packets: VecDeque<String>,
}

impl Socket {
    /// A connected socket, or the message of its `connect_error`.
    pub async fn connect(base: &str, auth: Value) -> Result<Self, String> {
        Self::connect_from(base, auth, None).await
    }

    pub async fn connect_from(base: &str, auth: Value, origin: Option<&str>) -> Result<Self, String> {
        let caller = Caller::new(base, None);
        let path = "/socket.io/?EIO=4&transport=polling".to_owned();
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let opened = caller.send("GET", &path, &headers, "").await;
        let opening: Value = serde_json::from_str(opened.text().strip_prefix('0').expect("an open packet")).unwrap();
        let path = format!("{path}&sid={}", opening["sid"].as_str().unwrap());
        let mut socket = Self { caller, path, packets: VecDeque::new() };
        socket.send(&format!("40{auth}")).await;
        let answer = socket.packet().await.expect("an answer");
        match answer.strip_prefix("44") {
            Some(refusal) => {
                let refusal: Value = serde_json::from_str(refusal).unwrap();
                Err(refusal["message"].as_str().unwrap().to_owned())
            }
            None if answer.starts_with("40") => Ok(socket),
            None => panic!("neither connected nor refused: {answer}"),
        }
    }

    /// Emits `join-company` and gives the acknowledgement.
    pub async fn join(&mut self, company: &str) -> Value {
        self.try_join(company).await.expect("an acknowledgement")
    }

    /// The same, where the server may close instead.
    pub async fn try_join(&mut self, company: &str) -> Result<Value, String> {
        let asked = self.try_send(&format!("420{}", json!(["join-company", company]))).await;
        let asked = asked.map_err(|error| error.to_string())?;
        if asked.text() != "ok" {
            return Err(asked.text());
        }
        let ack = self.packet().await?;
        let ack: Value = serde_json::from_str(ack.strip_prefix("430").ok_or(&ack)?).unwrap();
        Ok(ack[0].clone())
    }

    /// The argument of the next event of that name; others are passed over.
    pub async fn next(&mut self, name: &str) -> Value {
        loop {
            let packet = self.packet().await.unwrap_or_else(|end| panic!("{end} while waiting for {name}"));
            let Some(event) = packet.strip_prefix("42") else { continue };
            let event: Value = serde_json::from_str(event).unwrap();
            if event[0] == name {
                return event[1].clone();
            }
        }
    }

    /// Waits until the server ends the socket.
    pub async fn ended(&mut self) {
        loop {
            match self.packet().await {
                // 41 ends the namespace, 1 the transport.
                Ok(packet) if packet == "41" || packet == "1" => return,
                Ok(_) => {}
                Err(end) if end.starts_with("closed") => return,
                Err(end) => panic!("{end}: the socket goes on"),
            }
        }
    }

    /// Waits until the server closes the transport. After that, unlike after the end of a namespace, clients come again
    /// by themselves.
    pub async fn closed(&mut self) {
        loop {
            match self.packet().await {
                Ok(packet) if packet == "1" => return,
                Ok(packet) if packet == "41" => panic!("the namespace ended first"),
                Ok(_) => {}
                Err(end) if end.starts_with("closed") => return,
                Err(end) => panic!("{end}"),
            }
        }
    }

    async fn send(&self, packet: &str) {
        let answer = self.try_send(packet).await.unwrap();
        assert_eq!(answer.text(), "ok", "{packet}");
    }

    async fn try_send(&self, packet: &str) -> Result<Answer, hyper_util::client::legacy::Error> {
        let headers = [("content-type", "text/plain;charset=UTF-8")];
        self.caller.try_send("POST", &self.path, &headers, packet.to_owned()).await
    }

    /// The next packet that is no heartbeat.
    async fn packet(&mut self) -> Result<String, String> {
        loop {
            while let Some(packet) = self.packets.pop_front() {
                match packet.as_str() {
                    // The server may be ending: that its question finds no ear for the answer is how the socket ends.
                    "2" => self.try_send("3").await.map(drop).map_err(|error| format!("closed: {error}"))?,
                    _ => return Ok(packet),
                }
            }
            let poll = self.caller.try_send("GET", &self.path, &[], "");
            let poll = timeout(PACKET, poll).await.map_err(|_| "no packet in time")?;
            let poll = poll.map_err(|error| format!("closed: {error}"))?;
            if !poll.status.is_success() {
                return Err(format!("closed: {}", poll.text()));
            }
            self.packets.extend(poll.text().split(BETWEEN).map(str::to_owned));
        }
    }
}
