//! A door to the world: connections within bounds, one after the other. What is
//! served on them, and when they end, is their service's business.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// After a connection could not be accepted, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; who comes then waits.
    pub connections: usize,
    /// Most bytes of a request's head; more is answered with 431.
    pub head_bytes: usize,
    pub headers: usize,
    /// For a client to send a request's head.
    pub head_within: Duration,
}

/// A listener with its limits.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    /// Serves a connection, its head within the limits.
    pub http: http1::Builder,
}

/// A client that came in.
#[derive(Debug)]
pub struct Guest {
    pub stream: TokioIo<TcpStream>,
    /// To be kept as long as the connection is.
    pub place: OwnedSemaphorePermit,
}

impl Door {
    #[must_use]
    pub fn new(listener: TcpListener, limits: Limits) -> Door {
        let Limits { connections, head_bytes, headers, head_within } = limits;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_within).max_headers(headers).max_buf_size(head_bytes);
        Door { listener, places: Arc::new(Semaphore::new(connections)), http }
    }

    /// Waits for a place, then for whoever takes it. Nothing is lost if it is dropped meanwhile.
    pub async fn next(&self) -> Guest {
        let place = self.places.clone().acquire_owned().await.expect("nobody closes the places");
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // Answers are small and should not wait for more.
                    let _ = stream.set_nodelay(true);
                    return Guest { stream: TokioIo::new(stream), place };
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Door").field("listener", &self.listener).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_for_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let second = Duration::from_secs(1);
        let door = Door::new(listener, Limits { connections: 1, head_bytes: 8_192, headers: 10, head_within: second });
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = door.next().await;
        let mut next = pin!(door.next());
        let is_waiting = poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending()));
        assert!(is_waiting.await);
        drop(first);
        next.await;
    }
}
