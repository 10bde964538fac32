//! A browser, as small as can be.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    get_with(address, path, &[]).await
}

/// With headers of its own; a `host` among them replaces the right one.
pub(crate) async fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    send(address, &format!("GET {path} HTTP/1.1\r\n{}connection: close\r\n\r\n", head(address, headers))).await
}

pub(crate) async fn send(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    bounded(stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("expected a reply, got {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply { status: status.expect("a status"), head: head.into(), body: body.into() }
}

fn head(address: SocketAddr, headers: &[(&str, &str)]) -> String {
    let mut head = String::new();
    if !headers.iter().any(|(name, _)| *name == "host") {
        head = format!("host: {address}\r\n");
    }
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    head
}

/// A page that follows live.
pub(crate) struct Follower {
    stream: TcpStream,
    pub(crate) read: String,
}

impl Follower {
    pub(crate) async fn open(address: SocketAddr, headers: &[(&str, &str)]) -> Follower {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /api/live HTTP/1.1\r\n{}\r\n", head(address, headers));
        stream.write_all(request.as_bytes()).await.unwrap();
        Follower { stream, read: String::new() }
    }

    /// Reads until something was said.
    pub(crate) async fn until(&mut self, said: &str) {
        let reading = async {
            let mut chunk = [0; 16 << 10];
            while !self.read.contains(said) {
                let bytes = self.stream.read(&mut chunk).await.unwrap();
                assert!(bytes > 0, "expected {said:?} before the end of {:?}", self.read);
                self.read.push_str(&String::from_utf8_lossy(&chunk[..bytes]));
            }
        };
        bounded(reading).await;
    }

    pub(crate) async fn into_the_rest(mut self) -> String {
        let mut rest = Vec::new();
        // The last chunk may be cut off where the connection was ended.
        let _ = bounded(self.stream.read_to_end(&mut rest)).await;
        self.read + &String::from_utf8_lossy(&rest)
    }
}

/// So that a test that fails ends.
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("expected it within a minute")
}

/// Waits until something is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let becomes_so = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    bounded(becomes_so).await;
}
