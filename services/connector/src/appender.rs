//! One thread a partition appends for all requests that wait for it: deliveries
//! as they came, and linked to them the facts, which name their offsets.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tradewind_domain::{Body, IngestAlive};
use tradewind_ports::{Appends, Clock, EventLog, LogError, NewRecord, Offsets, Topic, TopicPartition};
use tradewind_wire::delivery::{dead_letter_record, raw_record};
use tradewind_wire::record::{self, NewFact};

use crate::answer::Answer;
use crate::beats::Heard;
use crate::delivery::Kept;
use crate::directory::{Current, Door};
use crate::metrics::{Counted, Queued};
use crate::outage::Outages;
use crate::reach::Reach;
use crate::turned_away::TurnedAway;

/// Most deliveries, and about the most bytes, in one append.
const BATCH_DELIVERIES: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

/// A delivery on its way to the log. Whoever waits for the answer may be gone.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) door: Arc<Door>,
    pub(crate) kept: Kept,
    pub(crate) reply: oneshot::Sender<Answer>,
    /// Its share of the memory for deliveries.
    pub(crate) _memory: OwnedSemaphorePermit,
    pub(crate) _queued: Queued,
}

/// The way to the appenders, by partition.
#[derive(Clone, Debug)]
pub(crate) struct Appenders(Vec<SyncSender<Job>>);

/// Resolves when the thread has ended.
pub(crate) type Ended = oneshot::Receiver<()>;

/// What all appenders share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Current,
    pub(crate) reach: Reach,
    pub(crate) counted: Counted,
    pub(crate) outages: Outages,
    pub(crate) turned_away: TurnedAway,
    pub(crate) beat_every: Duration,
}

impl Appenders {
    pub(crate) fn start(
        partitions: u32,
        queued_deliveries: usize,
        shared: &Shared,
    ) -> std::io::Result<(Appenders, Vec<Ended>)> {
        let (mut senders, mut ends) = (Vec::new(), Vec::new());
        for partition in 0..partitions {
            let (sender, jobs) = sync_channel(queued_deliveries);
            let (ended, end) = oneshot::channel();
            let heard = Heard::new(shared.beat_every);
            let appender = Appender { partition, heard, gaps_at: Instant::now(), shared: shared.clone() };
            thread::Builder::new().name(format!("append-{partition}")).spawn(move || {
                appender.run(&jobs);
                drop(ended);
            })?;
            senders.push(sender);
            ends.push(end);
        }
        Ok((Appenders(senders), ends))
    }

    /// Queues a delivery; where the queue is full it is turned away at once.
    pub(crate) fn append(&self, job: Job) {
        let sender = &self.0[usize::try_from(job.door.partition).expect("32 bits fit")];
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = sender.try_send(job) {
            job.answer(Answer::Overloaded);
        }
    }
}

impl Job {
    fn answer(self, answer: Answer) {
        // Whoever waited may have given up.
        let _ = self.reply.send(answer);
    }

    fn kept_as(&self) -> Answer {
        match &self.kept {
            Kept::Raw { facts, .. } if facts.is_empty() => Answer::NotInCatalogue,
            Kept::Raw { .. } => Answer::Accepted,
            Kept::DeadLetter(_) => Answer::DeadLettered,
        }
    }
}

struct Appender {
    partition: u32,
    heard: Heard,
    /// Gaps are told from then on.
    gaps_at: Instant,
    shared: Shared,
}

impl Appender {
    /// Until nobody can send any more and everything sent is done.
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(self.shared.beat_every / 4) {
                Ok(first) => self.append(batch(first, jobs)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.tell_gaps(),
            }
            if Instant::now() >= self.gaps_at {
                self.tell_gaps();
            }
            self.beat();
        }
    }

    fn append(&mut self, jobs: Vec<Job>) {
        // Its vendor was answered 503 by now and will send it again.
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| !job.reply.is_closed()).collect();
        if jobs.is_empty() {
            return;
        }
        match self.write(&jobs) {
            Ok(()) => self.acknowledge(jobs),
            // One of them can't be stored: the others must not suffer for it.
            Err(LogError::Refused { .. }) if jobs.len() > 1 => {
                jobs.into_iter().for_each(|job| self.append(vec![job]));
            }
            Err(error) => {
                let (partition, deliveries) = (self.partition, jobs.len());
                let answer = match error {
                    LogError::Refused { .. } => {
                        tracing::warn!(partition, %error, "a delivery can't be stored");
                        Answer::Unstorable
                    }
                    LogError::Fenced
                    | LogError::Lost { .. }
                    | LogError::Damaged { .. }
                    | LogError::Indefinite { .. }
                    | LogError::Unavailable { .. } => {
                        tracing::debug!(partition, deliveries, %error, "could not append");
                        self.shared.outages.failed(partition, &error);
                        Answer::Unavailable
                    }
                };
                jobs.into_iter().for_each(|job| job.answer(answer));
            }
        }
    }

    fn write(&self, jobs: &[Job]) -> Result<(), LogError> {
        let mut kept = Appends::new();
        let mut facts = Vec::new();
        for Job { door, kept: job, .. } in jobs {
            match job {
                Kept::Raw { delivery, facts: translated } => {
                    let at = Topic::Raw(door.vendor.clone()).partition(self.partition);
                    let deliveries = kept.entry(at.clone()).or_default();
                    let place = deliveries.len();
                    facts.extend(translated.iter().map(|fact| (at.clone(), place, record::event(fact))));
                    deliveries.push(raw_record(&door.tenant, delivery));
                }
                Kept::DeadLetter(letter) => {
                    let at = Topic::DeadLetter.partition(self.partition);
                    kept.entry(at).or_default().push(dead_letter_record(&door.tenant, letter));
                }
            }
        }
        let events = Topic::Events.partition(self.partition);
        let linked = move |offsets: &Offsets| {
            let name = |(at, place, mut fact): (TopicPartition, usize, NewRecord)| {
                record::name_delivery(&mut fact, &at, offsets[&at][place]);
                fact
            };
            let facts: Vec<NewRecord> = facts.into_iter().map(name).collect();
            if facts.is_empty() { Appends::new() } else { Appends::from([(events, facts)]) }
        };
        self.shared.log.append_linked(kept, Box::new(linked))
    }

    fn acknowledge(&mut self, jobs: Vec<Job>) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 512 deliveries")]
        self.shared.counted.appended_deliveries.observe(jobs.len() as f64);
        self.shared.outages.took(self.partition);
        // Only a fact on `events` is a sign of life to whoever reads it.
        let heard = jobs.iter().filter(|job| job.kept.facts() > 0).map(|job| job.door.vendor.clone());
        self.heard.hear(heard.collect::<Vec<_>>(), Instant::now());
        for job in jobs {
            if job.kept.facts() > 0 {
                self.shared.counted.facts(job.door.vendor_word, job.kept.facts() as u64);
            }
            let answer = job.kept_as();
            job.answer(answer);
        }
    }

    /// Says whose deliveries were turned away since. One fact a connection stands for all of them.
    fn tell_gaps(&mut self) {
        let owed = self.shared.turned_away.take(self.partition);
        if owed.is_empty() {
            return;
        }
        let now = self.shared.clock.now();
        let gaps = owed.iter().map(|owed| record::event(&owed.clone().gap(now))).collect();
        self.gaps_at = Instant::now() + self.shared.beat_every;
        if let Err(error) = self.shared.log.append(&Topic::Events.partition(self.partition), gaps) {
            tracing::debug!(partition = self.partition, %error, "could not say what was turned away");
            owed.into_iter().for_each(|owed| self.shared.turned_away.note(owed));
        }
    }

    fn beat(&mut self) {
        let Some(directory) = self.shared.directory.borrow().clone() else { return };
        let now = Instant::now();
        let vendors = self.heard.silent(directory.vendors(self.partition), now);
        if vendors.is_empty() || !self.shared.reach.is_proven(self.shared.beat_every) {
            return;
        }
        let beat = Body::IngestAlive(IngestAlive { vendors: vendors.clone() });
        let fact = NewFact::of_partition(self.partition, self.shared.clock.now(), beat);
        match self.shared.log.append(&Topic::Events.partition(self.partition), vec![record::event(&fact)]) {
            Ok(_) => {
                self.heard.hear(vendors, now);
                self.shared.counted.beats.increment();
                self.shared.outages.took(self.partition);
            }
            Err(error) => {
                tracing::debug!(partition = self.partition, %error, "could not append a beat");
                self.shared.outages.failed(self.partition, &error);
            }
        }
    }
}

/// What waits already, up to the bounds of one append.
fn batch(first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.kept.bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_DELIVERIES && bytes < BATCH_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.kept.bytes();
        batch.push(job);
    }
    batch
}
