//! A transaction is kept in its writer until it is committed, then handed over
//! whole, so nothing open ever holds back a reader or another writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_ports::{LogError, NewRecord, TopicPartition, Writer};

use crate::group::{Author, Transaction, bytes};
use crate::log::Limits;
use crate::writer_thread::Requests;

/// A turn of the orchestrator is far smaller; this bounds memory.
const TRANSACTION_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(crate) struct EmbeddedWriter {
    requests: Requests,
    limits: Limits,
    author: Author,
    newest_epoch: Arc<AtomicU64>,
    open: Option<Open>,
}

#[derive(Debug, Default)]
struct Open {
    writes: BTreeMap<TopicPartition, Vec<NewRecord>>,
    bytes: usize,
}

impl EmbeddedWriter {
    /// Fences every earlier writer of this id.
    pub(crate) fn new(requests: Requests, limits: Limits, id: &str) -> Result<EmbeddedWriter, LogError> {
        let (epoch, newest_epoch) = requests.raise_epoch(id)?;
        Ok(EmbeddedWriter { requests, limits, author: Author { id: id.into(), epoch }, newest_epoch, open: None })
    }

    /// An early answer; the thread that writes decides.
    fn check_epoch(&self) -> Result<(), LogError> {
        if self.newest_epoch.load(Ordering::Acquire) == self.author.epoch { Ok(()) } else { Err(LogError::Fenced) }
    }
}

impl Writer for EmbeddedWriter {
    fn begin(&mut self) -> Result<(), LogError> {
        self.open = None;
        self.check_epoch()?;
        self.open = Some(Open::default());
        Ok(())
    }

    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError> {
        self.check_epoch()?;
        self.limits.check(at, std::slice::from_ref(&record))?;
        let open = self.open.as_mut().expect("expected a transaction that was begun");
        open.bytes += bytes(&record);
        if open.bytes > TRANSACTION_BYTES {
            return Err(LogError::Refused { reason: format!("the transaction has over {TRANSACTION_BYTES} bytes") });
        }
        open.writes.entry(at.clone()).or_default().push(record);
        Ok(())
    }

    /// Nothing of a transaction is stored before its commit, so nothing of it can
    /// be lost apart from the rest, and it can't end early: at the commit all of
    /// it is durable and visible, or none. What the port asks of an acknowledged
    /// record, that no later commit succeeds without it, holds from `send` on.
    fn acknowledge(&mut self) -> Result<(), LogError> {
        self.check_epoch()
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let Open { writes, .. } = self.open.take().expect("expected a transaction that was begun");
        self.check_epoch()?;
        if writes.is_empty() {
            return Ok(());
        }
        let transaction =
            Transaction { author: Some(self.author.clone()), writes: writes.into_iter().collect(), linked: None };
        self.requests.write(transaction).map(drop)
    }
}
