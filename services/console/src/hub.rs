//! What is shown now, and who follows: the newest items of each lane, and a bounded
//! queue to each page. Messages are shared between pages, so what waits is bounded
//! by the queue's length and not by how many wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use tokio::sync::mpsc;

use crate::live::Live;
use crate::metrics::Counted;
use crate::server::Kick;
use crate::status::Status;
use crate::world::Settings;

/// The lanes of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Facts,
    Decisions,
    Commands,
    Outcomes,
}

impl Lane {
    pub(crate) const ALL: [Lane; 4] = [Lane::Facts, Lane::Decisions, Lane::Commands, Lane::Outcomes];

    const fn word(self) -> &'static str {
        match self {
            Lane::Facts => "facts",
            Lane::Decisions => "decisions",
            Lane::Commands => "commands",
            Lane::Outcomes => "outcomes",
        }
    }
}

/// Items of each lane as JSON, oldest first; at most so many that are the newest.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    items: [VecDeque<Arc<str>>; 4],
    newest: usize,
}

impl Lanes {
    pub(crate) fn new(newest: usize) -> Lanes {
        Lanes { items: std::array::from_fn(|_| VecDeque::new()), newest }
    }

    pub(crate) fn push(&mut self, lane: Lane, item: Arc<str>) {
        let items = &mut self.items[lane as usize];
        if items.len() == self.newest {
            items.pop_front();
        }
        items.push_back(item);
    }

    /// Leaves nothing behind.
    pub(crate) fn take(&mut self) -> Lanes {
        let newest = self.newest;
        std::mem::replace(self, Lanes::new(newest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.iter().all(VecDeque::is_empty)
    }

    fn take_up(&mut self, others: Lanes) {
        for (lane, items) in Lane::ALL.into_iter().zip(others.items) {
            items.into_iter().for_each(|item| self.push(lane, item));
        }
    }
}

#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    live_clients: usize,
    live_backlog: usize,
    counted: Counted,
}

#[derive(Debug)]
struct State {
    lanes: Lanes,
    status: Status,
    clients: Vec<Client>,
    is_stopping: bool,
}

#[derive(Debug)]
struct Client {
    queue: mpsc::Sender<Bytes>,
    is_behind: Arc<AtomicBool>,
    kick: Kick,
}

/// Why nobody more can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Clients,
    Stopping,
}

impl Hub {
    pub(crate) fn new(settings: &Settings, counted: Counted) -> Hub {
        let state = State {
            lanes: Lanes::new(settings.newest),
            status: Status::default(),
            clients: Vec::new(),
            is_stopping: false,
        };
        let (live_clients, live_backlog) = (settings.live_clients, settings.live_backlog.max(1));
        Hub { state: Mutex::new(state), live_clients, live_backlog, counted }
    }

    pub(crate) fn status(&self) -> Status {
        self.state().status.clone()
    }

    /// Everything that is shown now, and from there on whatever comes.
    pub(crate) fn follow(&self, kick: Kick) -> Result<Live, Full> {
        let mut state = self.state();
        state.clients.retain(|client| !client.queue.is_closed());
        if state.is_stopping {
            return Err(Full::Stopping);
        }
        if state.clients.len() >= self.live_clients {
            return Err(Full::Clients);
        }
        let (queue, waiting) = mpsc::channel(self.live_backlog);
        let is_behind = Arc::new(AtomicBool::new(false));
        let snapshot = message("snapshot", &state.lanes, &state.status);
        state.clients.push(Client { queue, is_behind: is_behind.clone(), kick });
        Ok(Live::new(snapshot, waiting, is_behind, self.counted.live_clients.clone()))
    }

    pub(crate) fn publish(&self, lanes: Lanes, status: Status) {
        let mut state = self.state();
        let update = message("update", &lanes, &status);
        state.lanes.take_up(lanes);
        state.status = status;
        state.clients.retain(|client| match client.queue.try_send(update.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                client.is_behind.store(true, Ordering::Release);
                client.kick.notify_one();
                self.counted.dropped_clients.increment();
                false
            }
        });
    }

    /// Ends every page's stream; nobody follows any more.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.is_stopping = true;
        state.clients.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the hub")
    }
}

/// One event of the stream. JSON has no line break outside of its strings, and in
/// them they are escaped.
fn message(event: &str, lanes: &Lanes, status: &Status) -> Bytes {
    let size: usize = lanes.items.iter().flatten().map(|item| item.len() + 1).sum();
    let mut text = String::with_capacity(size + 2_048);
    text.push_str("event: ");
    text.push_str(event);
    text.push_str("\ndata: {");
    for (lane, items) in Lane::ALL.into_iter().zip(&lanes.items) {
        text.push('"');
        text.push_str(lane.word());
        text.push_str("\":[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(item);
        }
        text.push_str("],");
    }
    text.push_str("\"status\":");
    text.push_str(&serde_json::to_string(status).expect("a status is plain data"));
    text.push_str("}\n\n");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use axum::body::HttpBody as _;
    use tradewind_telemetry::Metrics;

    use super::*;

    fn hub(settings: Settings) -> Hub {
        Hub::new(&settings, Counted::new(&Metrics::new()))
    }

    fn lanes(facts: &[&str]) -> Lanes {
        let mut lanes = Lanes::new(10);
        facts.iter().for_each(|fact| lanes.push(Lane::Facts, (*fact).into()));
        lanes
    }

    async fn next(live: &mut Live) -> Option<String> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *live).poll_frame(context)).await?;
        let bytes = frame.expect("it never fails").into_data().expect("data alone");
        Some(String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_page_that_is_too_slow_is_told_to_come_again() {
        let hub = hub(Settings { live_backlog: 2, ..Settings::default() });
        let kick = Kick::default();
        let mut slow = hub.follow(kick.clone()).unwrap();
        let mut quick = hub.follow(Kick::default()).unwrap();
        assert!(next(&mut quick).await.unwrap().starts_with("event: snapshot\n"));
        for number in ["1", "2", "3"] {
            hub.publish(lanes(&[number]), Status::default());
            assert!(next(&mut quick).await.unwrap().contains(&format!("\"facts\":[{number}]")));
        }
        kick.notified().await;
        assert!(next(&mut slow).await.unwrap().contains("\"reason\":\"behind\""), "nothing else waits for it");
        assert_eq!(next(&mut slow).await, None);
        assert_eq!(hub.counted.dropped_clients.value(), 1);
        let mut again = hub.follow(Kick::default()).unwrap();
        assert!(next(&mut again).await.unwrap().contains("\"facts\":[1,2,3]"));
    }

    #[tokio::test]
    async fn only_the_newest_are_kept() {
        let hub = hub(Settings { newest: 2, ..Settings::default() });
        hub.publish(lanes(&["1", "2", "3"]), Status::default());
        let mut live = hub.follow(Kick::default()).unwrap();
        assert!(next(&mut live).await.unwrap().contains("{\"facts\":[2,3],\"decisions\":[],"));
    }

    #[tokio::test]
    async fn nobody_follows_once_it_stops() {
        let hub = hub(Settings::default());
        let mut live = hub.follow(Kick::default()).unwrap();
        hub.stop();
        assert_eq!(hub.follow(Kick::default()).unwrap_err(), Full::Stopping);
        assert!(next(&mut live).await.unwrap().starts_with("event: snapshot\n"));
        assert!(next(&mut live).await.unwrap().contains("\"reason\":\"stopping\""));
        assert_eq!(next(&mut live).await, None);
    }
}
