//! A body that asks for permission when it is about to be written.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Whether a byte of the request may have left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departure(Arc<AtomicBool>);

impl Departure {
    pub(crate) fn mark(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn may_have_left(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Withheld;

impl fmt::Display for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("send the request: its permit was refused")
    }
}

impl std::error::Error for Withheld {}

type Permit = Box<dyn FnOnce() -> bool + Send + Sync>;

/// The whole body in one frame. The connection renders the head into its
/// buffer, then asks for this frame, then writes both at once: so nothing has
/// left when the permit is asked, and nothing but the write is left to do.
pub(crate) struct Permitted {
    content: Option<Bytes>,
    permit: Option<Permit>,
    departure: Departure,
}

impl Permitted {
    /// # Panics
    ///
    /// The content is empty: then nobody would ask for it.
    pub(crate) fn new(content: Bytes, permit: Permit, departure: Departure) -> Permitted {
        assert!(!content.is_empty(), "expected a body to wait for");
        Permitted { content: Some(content), permit: Some(permit), departure }
    }
}

impl Body for Permitted {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        let Some(content) = self.content.take() else { return Poll::Ready(None) };
        let is_permitted = self.permit.take().is_some_and(|permit| permit());
        if !is_permitted {
            return Poll::Ready(Some(Err(Withheld)));
        }
        self.departure.mark();
        Poll::Ready(Some(Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}
