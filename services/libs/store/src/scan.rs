//! Reads a whole store and compares it with its ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tradewind_ports::StoreError;

use crate::guarded::{Guarded, collect};
use crate::layout::{self, DUE, LEAF, META};
use crate::ledger::Ledger;

/// Values read between two looks at whether to go on.
const CHUNK: usize = 2_000;

/// Reads everything. A store that is not what `expected` says is condemned.
/// `go_on` is asked on the way; stopped by it, it says nothing.
pub(crate) fn whole(guarded: &Guarded, expected: &Ledger, go_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
    let mut entries = guarded.call(|db| Ok(db.iter()))?;
    let mut counted = Ledger { fold_version: expected.fold_version, slice: expected.slice, ..Ledger::default() };
    loop {
        if !go_on() {
            return Ok(());
        }
        let chunk = guarded.call(|_| entries.by_ref().take(CHUNK).collect::<sled::Result<Vec<_>>>())?;
        for (key, value) in &chunk {
            count(&mut counted, key, value).map_err(|error| guarded.condemn(error))?;
        }
        collect();
        if chunk.len() < CHUNK {
            break;
        }
    }
    if counted == *expected {
        return Ok(());
    }
    let reason = format!(
        "it holds {} leaves and {} due times with the sum {:016x}, expected {}, {} and {:016x}: some are lost or older",
        counted.leaves, counted.due, counted.sum, expected.leaves, expected.due, expected.sum
    );
    Err(guarded.condemn(StoreError::Damaged { reason }))
}

fn count(counted: &mut Ledger, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    match key.first() {
        Some(&LEAF) => counted.leaves += 1,
        Some(&DUE) => counted.due += 1,
        // Read on their own at opening.
        Some(&META) => return Ok(()),
        _ => return Err(layout::damaged(key, "is none of this layout")),
    }
    counted.add(key, layout::checked(key, value)?);
    Ok(())
}

/// A scan behind the first turns. A store it condemns says so at the next call.
#[derive(Debug)]
pub(crate) struct Behind {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Behind {
    pub(crate) fn start(guarded: Arc<Guarded>, expected: Ledger) -> Result<Behind, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let scan = {
            let stop = stop.clone();
            // What it finds, it leaves with the store.
            move || drop(whole(&guarded, &expected, &|| !stop.load(Ordering::Relaxed)))
        };
        let thread = thread::Builder::new().name("store-scan".into()).spawn(scan);
        let thread = thread.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok(Behind { thread: Some(thread), stop })
    }

    pub(crate) fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the scan's panics are caught");
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.join();
    }
}
