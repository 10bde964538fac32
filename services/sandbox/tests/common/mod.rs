//! What the tests share: a receiver of webhooks and a client of few words.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const STARTED_AT_MS: i64 = 1_795_428_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// In lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) answered: u16,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// Answers the n-th request as told, and keeps it.
pub(crate) struct Receiver {
    pub(crate) address: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

type Kept = (Arc<Mutex<Vec<Received>>>, fn(usize) -> u16);

impl Receiver {
    pub(crate) async fn start(answer: fn(usize) -> u16) -> Receiver {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept: Kept = (Arc::clone(&received), answer);
        let router = Router::new().fallback(keep).with_state(kept);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}/v1/in/token", listener.local_addr().expect("a bound address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Receiver { address, received, task }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(State((received, answer)): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut received = received.lock().expect("unpoisoned");
    let answered = answer(received.len());
    let text = |value: &axum::http::HeaderValue| value.to_str().expect("a readable header").to_owned();
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    received.push(Received { headers, body, answered });
    StatusCode::from_u16(answered).expect("a status")
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = self.head.lines().filter_map(|line| line.split_once(": "));
        named.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// One request; `None` if the connection ended with nothing answered.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Response> {
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await.expect("written");
    // Who refuses a body needn't read it to the end.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}
