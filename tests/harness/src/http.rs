//! The simplest client there is, for the admin ports of programs under test.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER: Duration = Duration::from_secs(5);

/// The body of what a server on this machine answers to GET; an error for anything but 200.
pub async fn http_get(port: u16, path: &str) -> io::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.0 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(answer)),
        }
    };
    tokio::time::timeout(ANSWER, exchange).await?
}
