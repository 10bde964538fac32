//! The wish that a service stops: made once, seen everywhere.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Clones share one wish.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown(watch::Sender::new(false))
    }
}

impl Shutdown {
    #[must_use]
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// Requested by SIGTERM or ctrl-c. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The signals can't be listened to.
    pub fn on_signals() -> io::Result<Shutdown> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Shutdown::new();
        let requested = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "asked to stop");
            requested.request();
        });
        Ok(shutdown)
    }

    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// For threads that look now and then.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is requested.
    pub async fn requested(&self) {
        let waited = self.0.subscribe().wait_for(|requested| *requested).await.map(drop);
        waited.expect("this sender lives as long as the wait");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_whoever_waits_and_whoever_comes_later() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.clone().request();
        waiting.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
