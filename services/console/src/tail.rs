//! Follows the log in a thread of its own and hands what is new to the hub.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tradewind_ports::{EventLog, LogError};
use tradewind_telemetry::Part;

use crate::hub::{Hub, Lanes};
use crate::metrics::Counted;
use crate::owners::Owners;
use crate::partition::{Heard, PUBLISHED, PartitionTail, Trouble};
use crate::status::{Counts, PlaceSeen, Status};
use crate::world::{Settings, World};
use tokio::sync::oneshot;

/// The least time between two updates.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// An update without news still tells the time, and that the stream lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// While one partition is waited for, another may have something new.
const WAIT: Duration = Duration::from_millis(100);

const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Ends the thread, which looks at least every second. Dropping it does too.
#[derive(Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The receiver resolves when the thread has ended, for whatever reason.
pub(crate) fn start(
    world: &World,
    settings: &Settings,
    hub: Arc<Hub>,
    counted: Counted,
    part: Part,
) -> io::Result<(Stop, oneshot::Receiver<()>)> {
    let stopping = Arc::new(AtomicBool::new(false));
    let mut tail = Tail {
        log: world.log.clone(),
        owners: world.owners.clone(),
        hub,
        counted,
        part,
        stopping: stopping.clone(),
        look_back: settings.look_back,
        partitions: (0..settings.partitions).map(PartitionTail::new).collect(),
        counts: Counts::default(),
        pending: Lanes::new(PUBLISHED.min(settings.newest)),
        published_at: Instant::now(),
        newest: 0,
        is_ready: false,
    };
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("console-tail".into()).spawn(move || {
        tail.run();
        drop(ended);
    })?;
    Ok((Stop(stopping), end))
}

struct Tail {
    log: Arc<dyn EventLog>,
    owners: Arc<dyn Owners>,
    hub: Arc<Hub>,
    counted: Counted,
    part: Part,
    stopping: Arc<AtomicBool>,
    look_back: u64,
    partitions: Vec<PartitionTail>,
    counts: Counts,
    pending: Lanes,
    published_at: Instant,
    /// The partition that spoke last: it is the one to wait for.
    newest: usize,
    /// What was there at start is shown.
    is_ready: bool,
}

impl Tail {
    fn run(&mut self) {
        while !self.stopping.load(Ordering::Acquire) {
            if let Err(trouble) = self.follow() {
                tracing::warn!(%trouble, "the log can't be followed");
                self.part.waits_for("the log");
                self.is_ready = false;
                self.publish(Some(format!("failed to {trouble}")));
                if let Trouble::Log(LogError::Lost { .. }) = trouble {
                    self.partitions.iter_mut().for_each(PartitionTail::forget);
                }
                thread::sleep(RETRY_EVERY);
            }
        }
    }

    /// Reads what is there, shows it, and waits for more where there was nothing.
    fn follow(&mut self) -> Result<(), Trouble> {
        let records = self.sweep()?;
        let since = self.published_at.elapsed();
        let has_news = !self.pending.is_empty();
        if has_news && since >= PUBLISH_EVERY || since >= BEAT_EVERY {
            self.publish(None);
        }
        if records > 0 {
            return Ok(());
        }
        if !self.is_ready {
            self.publish(None);
            self.part.ready();
            self.is_ready = true;
        }
        if !self.pending.is_empty() {
            thread::sleep(PUBLISH_EVERY.saturating_sub(since));
            return Ok(());
        }
        if let Some(tail) = self.partitions.get(self.newest) {
            let (at, next) = tail.waits_at();
            self.log.wait(at, next, WAIT)?;
        }
        Ok(())
    }

    /// Reads every partition on, bounded; returns how many records there were.
    fn sweep(&mut self) -> Result<usize, Trouble> {
        let mut records = 0;
        for (index, tail) in self.partitions.iter_mut().enumerate() {
            let mut heard = Heard { lanes: &mut self.pending, counts: &mut self.counts };
            let events = tail.read_events(&*self.log, self.look_back, &mut heard)?;
            let decisions = tail.read_decisions(&*self.log, self.look_back, &mut heard)?;
            self.counted.events.add(events as u64);
            self.counted.decisions.add(decisions as u64);
            if events + decisions > 0 {
                self.newest = index;
            }
            records += events + decisions;
        }
        Ok(records)
    }

    fn publish(&mut self, trouble: Option<String>) {
        let status = self.status(trouble);
        let lanes = self.pending.take();
        self.hub.publish(lanes, status);
        self.published_at = Instant::now();
    }

    /// Owners know best where they are; where none answers, the log says it.
    fn status(&self, trouble: Option<String>) -> Status {
        let mut places: Vec<PlaceSeen> = self.partitions.iter().filter_map(PartitionTail::place).collect();
        for owned in self.owners.places() {
            if let Some(place) = places.iter_mut().find(|place| place.partition == owned.partition) {
                place.position = Some(owned.position);
                place.log_time = Some(owned.log_time);
                place.speed_permille = owned.speed_permille;
            }
        }
        let leading = places.iter().max_by_key(|place| place.log_time);
        Status {
            partitions: u32::try_from(self.partitions.len()).unwrap_or(u32::MAX),
            lineage: leading.and_then(|place| place.lineage),
            kind: leading.and_then(|place| place.kind),
            log_time: leading.and_then(|place| place.log_time),
            speed_permille: leading.map_or(1_000, |place| place.speed_permille),
            counts: self.counts,
            counted_from_start: self.partitions.iter().all(PartitionTail::is_whole),
            places,
            trouble,
        }
    }
}
