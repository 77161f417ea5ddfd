//! A Socket.IO client over a WebSocket that takes what it is sent only when it is asked to.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longest wait for one packet.
const PACKET: Duration = Duration::from_secs(20);

/// So that little fits on the way.
const BUFFER: u32 = 4096;

pub struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// A connected socket.
    pub async fn connect(base: &str, auth: &Value) -> Self {
        let address = base.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(BUFFER).unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = client_async(url, stream).await.unwrap();
        let mut socket = Self(socket);
        assert!(socket.packet().await.expect("an open packet").starts_with('0'));
        socket.send(format!("40{auth}")).await;
        assert!(socket.packet().await.expect("an answer").starts_with("40"));
        socket
    }

    /// Emits `join-company` and gives the acknowledgement.
    pub async fn join(&mut self, company: &str) -> Value {
        self.send(format!("420{}", json!(["join-company", company]))).await;
        let ack = self.packet().await.expect("an acknowledgement");
        let ack: Value = serde_json::from_str(ack.strip_prefix("430").expect("an acknowledgement")).unwrap();
        ack[0].clone()
    }

    /// The argument of the next event; nothing once the server has closed.
    pub async fn next_event(&mut self) -> Option<Value> {
        loop {
            let packet = self.packet().await?;
            if let Some(event) = packet.strip_prefix("42") {
                let event: Value = serde_json::from_str(event).unwrap();
                return Some(event[1].clone());
            }
        }
    }

    async fn send(&mut self, packet: String) {
        self.0.send(Message::Text(packet.into())).await.unwrap();
    }

    /// The next packet that is no heartbeat; nothing once the server has closed, in whatever way.
    async fn packet(&mut self) -> Option<String> {
        loop {
            match timeout(PACKET, self.0.next()).await.expect("a packet in time") {
                // A pong that an ended connection does not take is answered by its end.
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    drop(self.0.send(Message::Text("3".into())).await);
                }
                Some(Ok(Message::Text(text))) if text.as_str() == "1" => return None,
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}
