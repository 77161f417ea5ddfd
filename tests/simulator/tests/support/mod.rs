//! A plain HTTP client and a page without a browser. Both wait with a deadline and say what they saw instead.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(5);

/// A simulator with a directory for its certificate, which the page's client trusts.
pub struct Running {
    simulator: Simulator,
    directory: tempfile::TempDir,
}

impl std::ops::Deref for Running {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}

pub async fn start() -> Running {
    start_with(Duration::from_secs(20), 5).await
}

pub async fn start_with(qr_lifetime: Duration, qr_codes: u32) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let tls_dir = Some(directory.path().to_owned());
    let settings = SimulatorSettings { tls_dir, qr_lifetime, qr_codes, ..SimulatorSettings::default() };
    Running { simulator: Simulator::start(settings).await.unwrap(), directory }
}

pub struct Http {
    address: String,
}

impl Http {
    pub fn of(simulator: &Simulator) -> Self {
        Self { address: simulator.control_url().trim_start_matches("http://").to_owned() }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, &body.to_string()).await
    }

    /// Status and body; a body that is no JSON is a string.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = async {
            let (mut reader, mut writer) = TcpStream::connect(&self.address).await.unwrap().into_split();
            // A server that refuses a long body answers before it has read it all.
            let writing = tokio::spawn(async move {
                drop(writer.write_all(request.as_bytes()).await);
                writer
            });
            let mut answer = Vec::new();
            drop(reader.read_to_end(&mut answer).await);
            drop(writing.await);
            String::from_utf8(answer).unwrap()
        };
        let answer = timeout(PATIENCE, exchange).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())))
    }
}

pub struct PageClient {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl PageClient {
    /// Connects and greets, with the login of an earlier page if there is one.
    pub async fn connect(running: &Running, login: Option<&Value>) -> Self {
        let certificate = CertificateDer::from_pem_file(running.directory.path().join("cert.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(running.page_addr()).await.unwrap();
        let name = ServerName::try_from("web.whatsapp.com").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async("wss://web.whatsapp.com/ws", tls).await.unwrap();
        let mut page = Self { socket };
        let keys = json!({"noise": "noise", "identity": "identity", "adv": "adv"});
        page.say(&json!({"type": "hello", "login": login, "keys": keys})).await;
        page
    }

    /// A page that has been scanned by this phone, and its login.
    pub async fn linked(running: &Running, phone: &str) -> (Self, Value) {
        let mut page = Self::connect(running, None).await;
        page.expect("ref").await;
        let qr = running.pages().into_iter().find_map(|page| page.qr).unwrap();
        running.scan(&qr, phone, None).unwrap();
        let login = page.expect("paired").await["login"].clone();
        page.say(&json!({"type": "stored"})).await;
        page.expect("sync").await;
        page.say(&json!({"type": "synced"})).await;
        page.expect("deliveryEnd").await;
        (page, login)
    }

    pub async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message of this type; chat news before it are passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.unwrap_or_else(|_| panic!("no {kind} came"));
            let Some(Ok(Message::Text(text))) = message else { panic!("waited for {kind}, got {message:?}") };
            let value: Value = serde_json::from_str(&text).unwrap();
            if value["type"] == kind {
                return value;
            }
            assert_eq!(value["type"], "chat", "waited for {kind}, got {value}");
        }
    }

    /// The server ends the connection.
    pub async fn expect_end(&mut self) {
        let message = timeout(PATIENCE, self.socket.next()).await.expect("the end came in time");
        assert!(!matches!(message, Some(Ok(Message::Text(_)))), "instead of the end came {message:?}");
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        while timeout(PATIENCE, self.socket.next())
            .await
            .expect("the server closes too")
            .is_some_and(|said| said.is_ok())
        {}
    }
}
