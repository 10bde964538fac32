//! A load of HTTP requests over connections that stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends these requests in turn, so many at a time, and returns how long each took.
/// With a rate, each is due at its own time and counted from then, however late the
/// one before was; without one, the next goes out when the last is answered.
///
/// # Panics
///
/// An answer is not 200.
#[must_use]
pub fn run(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    seconds: Duration,
    rate: Option<f64>,
) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "few connections")]
        let every = rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
        let tasks: Vec<_> = (0..connections)
            .map(|number| {
                let offset = every.map_or(Duration::ZERO, |every| every.mul_f64(share(number, connections)));
                let connection = Connection { address, requests: requests.clone(), number, connections };
                tokio::spawn(connection.run(begun + offset, begun + seconds, every))
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.expect("a connection that ends well"));
        }
        times
    })
}

#[expect(clippy::cast_precision_loss, reason = "few connections")]
fn share(number: usize, of: usize) -> f64 {
    number as f64 / of as f64
}

struct Connection {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    number: usize,
    connections: usize,
}

impl Connection {
    async fn run(self, first: Instant, until: Instant, every: Option<Duration>) -> Vec<Duration> {
        let mut stream = TcpStream::connect(self.address).await.expect("a server");
        stream.set_nodelay(true).expect("a socket");
        let mut times = Vec::new();
        let mut due = first;
        let mut chunk = [0; 4096];
        for at in (self.number..).step_by(self.connections) {
            if every.is_some() {
                tokio::time::sleep_until(due.into()).await;
            }
            let begun = if every.is_some() { due } else { Instant::now() };
            if begun >= until {
                break;
            }
            stream.write_all(&self.requests[at % self.requests.len()]).await.expect("a server");
            // Answers are short: one piece holds one.
            let bytes = stream.read(&mut chunk).await.expect("a server");
            assert!(
                chunk[..bytes].starts_with(b"HTTP/1.1 200"),
                "expected 200, got {}",
                String::from_utf8_lossy(&chunk[..bytes])
            );
            times.push(begun.elapsed());
            due += every.unwrap_or_default();
        }
        times
    }
}
