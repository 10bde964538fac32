//! The thread that writes. It takes what waits, writes it in one commit, and
//! answers; between two groups it deletes a slice of what is not kept.
//!
//! After an error the connection is dropped, and opened again with all its
//! checks for the next request. Damage ends it: from then on it refuses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tradewind_ports::{Cleanup, Clock, LogError, TopicPartition};

use crate::compaction::{self, TOMBSTONE_MS};
use crate::directory::{Directory, WriteLock};
use crate::group::{self, Transaction};
use crate::opening::OpenError;
use crate::retention;
use crate::store::{Heads, Store};

/// Bounds of a group: how long whoever comes next has to wait.
const GROUP_RECORDS: usize = 10_000;
const GROUP_BYTES: usize = 16 << 20;

type Reply<T> = SyncSender<Result<T, LogError>>;

enum Request {
    /// The reply holds the first offset of each write.
    Write {
        transaction: Transaction,
        reply: Reply<Vec<u64>>,
    },
    RaiseEpoch {
        id: String,
        reply: Reply<u64>,
    },
    Sweep {
        reply: Reply<()>,
    },
    #[cfg(test)]
    DeleteBefore {
        at: TopicPartition,
        offset: u64,
        reply: Reply<()>,
    },
    Stop,
}

/// The newest epoch of each writer, as the process knows it.
#[derive(Debug, Default)]
struct Epochs(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Epochs {
    fn of(&self, id: &str) -> Arc<AtomicU64> {
        let mut epochs = self.0.lock().expect("no thread panics while it holds the epochs");
        epochs.entry(id.into()).or_default().clone()
    }

    fn install(&self, known: &BTreeMap<String, u64>) {
        for (id, epoch) in known {
            self.of(id).store(*epoch, Ordering::Release);
        }
    }
}

/// How the rest of the process speaks to the thread. Clones speak to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    requests: Sender<Request>,
    epochs: Arc<Epochs>,
}

impl Requests {
    pub(crate) fn write(&self, transaction: Transaction) -> Result<Vec<u64>, LogError> {
        self.ask(|reply| Request::Write { transaction, reply })
    }

    /// Fences all writers of this id; returns the epoch of the next, and where
    /// it can see that it is the newest.
    pub(crate) fn raise_epoch(&self, id: &str) -> Result<(u64, Arc<AtomicU64>), LogError> {
        let epoch = self.ask(|reply| Request::RaiseEpoch { id: id.into(), reply })?;
        Ok((epoch, self.epochs.of(id)))
    }

    pub(crate) fn sweep(&self) -> Result<(), LogError> {
        self.ask(|reply| Request::Sweep { reply })
    }

    #[cfg(test)]
    pub(crate) fn delete_before(&self, at: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.ask(|reply| Request::DeleteBefore { at: at.clone(), offset, reply })
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, LogError> {
        let (reply, answer) = sync_channel(1);
        if self.requests.send(request(reply)).is_err() {
            return Err(LogError::Unavailable { reason: "the log is closed".into() });
        }
        let ended = |_| LogError::Indefinite { reason: "the log was closed before it answered".into() };
        answer.recv().map_err(ended)?
    }
}

/// The thread, and what it left unfinished in an earlier life.
#[derive(Debug)]
pub(crate) struct WriterThread {
    pub(crate) requests: Requests,
    pub(crate) heads: Arc<Heads>,
    pub(crate) torn_bytes: u64,
    thread: Option<JoinHandle<()>>,
}

/// What the thread needs to know.
pub(crate) struct Settings {
    pub(crate) directory: Directory,
    pub(crate) partitions: u32,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) sweep_every: Duration,
}

impl WriterThread {
    /// Opens the log, and begins to write.
    pub(crate) fn start(settings: Settings) -> Result<WriterThread, OpenError> {
        let mut lock = WriteLock::take(&settings.directory)?;
        let heads = Arc::new(Heads::default());
        let store = Store::open(&settings.directory, settings.partitions, heads.clone())?;
        lock.announce(&settings.directory)?;
        let torn_bytes = store.torn_bytes;
        let epochs = Arc::new(Epochs::default());
        epochs.install(&store.epochs);
        let (requests, received) = channel();
        let mut writing = Writing {
            settings,
            heads: heads.clone(),
            epochs: epochs.clone(),
            state: State::Open(Box::new(store)),
            received,
            swept_at: Instant::now(),
            to_sweep: Vec::new(),
            sweepers: Vec::new(),
            lock,
        };
        let spawned = std::thread::Builder::new().name("log-writer".into()).spawn(move || writing.run());
        let thread = spawned.map_err(|error| LogError::Unavailable { reason: format!("start a thread: {error}") })?;
        Ok(WriterThread { requests: Requests { requests, epochs }, heads, torn_bytes, thread: Some(thread) })
    }

    /// Ends the thread when it has answered what was asked before.
    pub(crate) fn stop(&mut self) {
        // If it has ended already there is nobody to tell.
        let _ = self.requests.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic was printed where it happened; whoever asked was told `Indefinite`.
            let _ = thread.join();
        }
    }
}

enum State {
    Open(Box<Store>),
    /// An error closed it; the next request opens it again.
    Closed,
    /// It is damaged.
    Refusing(LogError),
}

struct Writing {
    settings: Settings,
    heads: Arc<Heads>,
    epochs: Arc<Epochs>,
    state: State,
    received: Receiver<Request>,
    swept_at: Instant,
    /// Partitions that may hold what is not kept.
    to_sweep: Vec<TopicPartition>,
    sweepers: Vec<Reply<()>>,
    /// Below the store: it is closed before the lock is given up.
    lock: WriteLock,
}

impl Writing {
    fn run(&mut self) {
        let mut set_aside = None;
        loop {
            // Here, not when there is nothing to do: a busy log must be swept too.
            if !self.is_sweeping() && self.swept_at.elapsed() >= self.settings.sweep_every {
                self.begin_sweep();
            }
            if self.is_sweeping() {
                self.sweep_slice();
            }
            match set_aside.take().or_else(|| self.next_request()) {
                Some(Request::Write { transaction, reply }) => {
                    let mut group = vec![(transaction, reply)];
                    set_aside = self.gather(&mut group);
                    self.write(group);
                }
                Some(Request::RaiseEpoch { id, reply }) => {
                    let raised = self.with_store(|store, _| store.raise_epoch(&id));
                    if let Ok(epoch) = &raised {
                        self.epochs.of(&id).store(*epoch, Ordering::Release);
                    }
                    answer(&reply, raised);
                }
                Some(Request::Sweep { reply }) => {
                    self.sweepers.push(reply);
                    self.begin_sweep();
                }
                #[cfg(test)]
                Some(Request::DeleteBefore { at, offset, reply }) => {
                    let deleted = self.with_store(|store, _| {
                        while retention::delete_before(store, &at, offset)?.is_continue() {}
                        Ok(())
                    });
                    answer(&reply, deleted);
                }
                Some(Request::Stop) => {
                    if let State::Open(store) = std::mem::replace(&mut self.state, State::Closed) {
                        self.close(*store);
                    }
                    return;
                }
                None => {}
            }
        }
    }

    /// Waits for a request; not at all while there is something to delete.
    fn next_request(&mut self) -> Option<Request> {
        if self.is_sweeping() {
            return match self.received.try_recv() {
                Ok(request) => Some(request),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Request::Stop),
            };
        }
        let pause = self.settings.sweep_every.saturating_sub(self.swept_at.elapsed());
        match self.received.recv_timeout(pause) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Request::Stop),
        }
    }

    /// Adds what waits already. Returns the first request that is of another
    /// kind: it must see the group written, and none of what comes after it.
    fn gather(&mut self, group: &mut Vec<(Transaction, Reply<Vec<u64>>)>) -> Option<Request> {
        // What is linked to others is not counted: it is not made yet.
        let mut records: usize = group.iter().map(|(transaction, _)| transaction.records()).sum();
        let mut bytes: usize = group.iter().map(|(transaction, _)| transaction.bytes()).sum();
        while records < GROUP_RECORDS && bytes < GROUP_BYTES {
            match self.received.try_recv() {
                Ok(Request::Write { transaction, reply }) => {
                    records += transaction.records();
                    bytes += transaction.bytes();
                    group.push((transaction, reply));
                }
                Ok(other) => return Some(other),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
        None
    }

    fn write(&mut self, group: Vec<(Transaction, Reply<Vec<u64>>)>) {
        let (transactions, replies): (Vec<Transaction>, Vec<_>) = group.into_iter().unzip();
        match self.with_store(|store, settings| group::write(store, transactions, settings.clock.now())) {
            Ok(written) => replies.iter().zip(written).for_each(|(reply, offsets)| answer(reply, offsets)),
            Err(error) => replies.iter().for_each(|reply| answer(reply, Err(error.clone()))),
        }
    }

    fn is_sweeping(&self) -> bool {
        !self.to_sweep.is_empty()
    }

    fn begin_sweep(&mut self) {
        self.swept_at = Instant::now();
        self.to_sweep = self.heads.lock().keys().cloned().collect();
        if self.to_sweep.is_empty() {
            self.end_sweep(&Ok(()));
        }
    }

    fn sweep_slice(&mut self) {
        let Some(at) = self.to_sweep.last().cloned() else {
            return;
        };
        let swept = self.with_store(|store, settings| {
            let now = settings.clock.now();
            match at.topic.cleanup() {
                Cleanup::KeptForEver => Ok(ControlFlow::Break(())),
                Cleanup::DeletedAfterMs(kept) => retention::delete_expired(store, &at, now - kept),
                Cleanup::Compacted => compaction::sweep_tombstones(store, &at, now - TOMBSTONE_MS),
            }
        });
        match swept {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => {
                self.to_sweep.pop();
                if !self.is_sweeping() {
                    let forgotten = self.with_store(|store, _| compaction::forget_superseded(store));
                    self.end_sweep(&forgotten);
                }
            }
            // The next sweep tries again; damage makes every request fail from now on.
            Err(error) => {
                self.to_sweep.clear();
                self.end_sweep(&Err(error));
            }
        }
    }

    fn end_sweep(&mut self, result: &Result<(), LogError>) {
        for sweeper in self.sweepers.drain(..) {
            answer(&sweeper, result.clone());
        }
    }

    /// Works on the open store, opening it if it is closed.
    fn with_store<T>(
        &mut self,
        work: impl FnOnce(&mut Store, &Settings) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let mut store = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(store) => store,
            State::Closed => match self.reopen() {
                Ok(store) => Box::new(store),
                Err(error) => return Err(self.remember(error)),
            },
            State::Refusing(error) => return Err(self.remember(error)),
        };
        match work(&mut store, &self.settings) {
            Ok(done) => {
                self.state = State::Open(store);
                Ok(done)
            }
            Err(error) => {
                self.close(*store);
                Err(self.remember(error))
            }
        }
    }

    fn close(&self, store: Store) {
        store.close(|| self.lock.is_in_place(&self.settings.directory));
    }

    fn remember(&mut self, error: LogError) -> LogError {
        if matches!(error, LogError::Damaged { .. }) {
            self.state = State::Refusing(error.clone());
        }
        error
    }

    fn reopen(&self) -> Result<Store, LogError> {
        let directory = &self.settings.directory;
        if !self.lock.is_in_place(directory) {
            return Err(LogError::Damaged {
                at: format!(
                    "{}: it was taken away or replaced while this process wrote to it",
                    directory.path().display()
                ),
                remedy: "put it back, or start this process again on the one that is there".into(),
            });
        }
        let opened = Store::open(directory, self.settings.partitions, self.heads.clone());
        let store = opened.map_err(|error| match error {
            OpenError::Log(error) => error,
            OpenError::Held { reason } | OpenError::Unfit { reason } => LogError::Unavailable { reason },
        })?;
        self.epochs.install(&store.epochs);
        Ok(store)
    }
}

/// Whoever asked may have gone.
fn answer<T>(reply: &Reply<T>, answer: Result<T, LogError>) {
    let _ = reply.send(answer);
}
