//! The body of a live stream: Server-Sent Events from a page's queue.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tradewind_telemetry::Gauge;

/// To a page that did not keep up: what waited for it is not sent any more, since
/// the snapshot of its next visit has it.
const BEHIND: &[u8] = b"event: bye\nretry: 500\ndata: {\"reason\":\"behind\"}\n\n";

const STOPPING: &[u8] = b"event: bye\nretry: 2000\ndata: {\"reason\":\"stopping\"}\n\n";

#[derive(Debug)]
pub(crate) struct Live {
    snapshot: Option<Bytes>,
    waiting: mpsc::Receiver<Bytes>,
    is_behind: Arc<AtomicBool>,
    has_ended: bool,
    clients: Gauge,
}

impl Live {
    pub(crate) fn new(
        snapshot: Bytes,
        waiting: mpsc::Receiver<Bytes>,
        is_behind: Arc<AtomicBool>,
        clients: Gauge,
    ) -> Live {
        clients.add(1);
        Live { snapshot: Some(snapshot), waiting, is_behind, has_ended: false, clients }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clients.add(-1);
    }
}

impl HttpBody for Live {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let live = self.get_mut();
        if live.has_ended {
            return Poll::Ready(None);
        }
        let bytes = if live.is_behind.load(Ordering::Acquire) {
            None
        } else {
            match live.snapshot.take() {
                Some(snapshot) => Some(snapshot),
                None => ready!(live.waiting.poll_recv(context)),
            }
        };
        let bytes = bytes.unwrap_or_else(|| {
            live.has_ended = true;
            Bytes::from_static(if live.is_behind.load(Ordering::Acquire) { BEHIND } else { STOPPING })
        });
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
