//! Whether the world reaches us: our own public address, asked again and again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tradewind_telemetry::Gauge;

use crate::world::Probe;

/// Where the public address shows that it is ours. It answers 204.
pub const ALIVE_PATH: &str = "/v1/alive";

const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// When the last probe came back; none since one didn't.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach(Arc<Mutex<Option<Instant>>>);

impl Reach {
    /// A probe came back within this time.
    pub(crate) fn is_proven(&self, within: Duration) -> bool {
        self.last().is_some_and(|last| last.elapsed() <= within)
    }

    /// Asks again and again; ends when it is dropped.
    pub(crate) async fn watch(self, probe: Probe, every: Duration, reached: Gauge) {
        let mut is_told = false;
        loop {
            let came_back = tokio::time::timeout(PROBE_WITHIN, probe()).await.unwrap_or(false);
            *self.0.lock().expect("nothing panics while it holds the time") = came_back.then(Instant::now);
            reached.set(came_back.into());
            if !came_back && !is_told {
                tracing::warn!("our own public address does not lead back to us: no beats until it does");
            }
            is_told = !came_back;
            tokio::time::sleep(every).await;
        }
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().expect("nothing panics while it holds the time")
    }
}

/// A probe of a connector on this machine, without any proxy between: for `dev`.
#[must_use]
pub fn loopback_probe(address: SocketAddr) -> Probe {
    Arc::new(move || Box::pin(async move { ask(address).await.unwrap_or(false) }))
}

async fn ask(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {ALIVE_PATH} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(&status == b"HTTP/1.1 204")
}
