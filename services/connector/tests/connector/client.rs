//! A vendor's HTTP client, as small as can be.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A delivery as its vendor sends it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) token: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Sent {
    pub(crate) fn head(&self, length: &str) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "POST /v1/in/{} HTTP/1.1\r\nhost: tradewind\r\nconnection: close\r\n{length}\r\n{headers}\r\n",
            self.token
        )
    }

    pub(crate) async fn post(&self, address: SocketAddr) -> Reply {
        let head = self.head(&format!("content-length: {}", self.body.len()));
        exchange(address, &[head.as_bytes(), &self.body].concat()).await
    }
}

/// Sends these bytes and reads until the other side ends.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    reply(stream).await
}

pub(crate) async fn reply(mut stream: TcpStream) -> Reply {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    // What the other side did not read may end in a reset behind its answer.
    while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
        read.extend_from_slice(&chunk[..bytes]);
    }
    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("expected a reply, got {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply { status: status.expect("a status"), head: head.into(), body: body.into() }
}
