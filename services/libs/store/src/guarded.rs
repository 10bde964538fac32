//! sled, held so that neither its panics nor its fate get out: the first failure
//! is the answer to every later call.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tradewind_ports::StoreError;

use crate::lock;

/// How often garbage is collected by hand: sled pins its epoch once a batch, and
/// by itself collects a little at every 128th pin, too little for batches.
const COLLECTIONS: usize = 32;

/// How much sled has written and not flushed, at most, in time. Its flusher also
/// reclaims space, so it is never off.
const FLUSH_EVERY_MS: u64 = 500;

/// Closing takes as long as what is unflushed, half a second's worth. More is a
/// flusher that died, which sled would wait for without end, and keep its file.
const CLOSE: Duration = Duration::from_secs(10);

/// On a slow disk one of sled's threads may still sync its file when it has closed. More
/// is a store that can't close; with [`CLOSE`] it is less than an owner may be silent for.
const HELD: Duration = Duration::from_secs(6);

pub(crate) struct Guarded {
    /// `None` once it is let go of.
    db: Option<sled::Db>,
    /// A second handle of sled's file: syncing it reports what sled only logs.
    file: File,
    _lock: Arc<File>,
    failure: OnceLock<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    kind: Kind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// sled panicked or found damage: it can't be trusted to close, either.
    Broken,
    /// sled works, and what it holds is wrong.
    Wrong,
    /// A handle of sled's has its file, though the store is nobody's: it can't close.
    Held,
    Unavailable,
}

impl Failure {
    fn error(&self) -> StoreError {
        let reason = self.reason.clone();
        match self.kind {
            Kind::Broken | Kind::Wrong => StoreError::Damaged { reason },
            Kind::Held => StoreError::Damaged { reason: format!("it was never closed: {reason}") },
            Kind::Unavailable => StoreError::Unavailable { reason },
        }
    }
}

impl Guarded {
    /// `lock` is held until sled has closed its files, or can't.
    pub(crate) fn open(folder: &Path, cache_bytes: u64, lock: Arc<File>) -> Result<Guarded, StoreError> {
        let config = sled::Config::new().path(folder).cache_capacity(cache_bytes).flush_every_ms(Some(FLUSH_EVERY_MS));
        let db = lock::wait_for(HELD, || guard(|| config.open()), |failure| failure.kind == Kind::Held);
        let db = db.map_err(|failure| failure.error())?;
        let file = File::open(folder.join("db")).map_err(|error| io_failure(&error).error());
        match file {
            Ok(file) => Ok(Guarded { db: Some(db), file, _lock: lock, failure: OnceLock::new() }),
            Err(error) => {
                close(db);
                Err(error)
            }
        }
    }

    pub(crate) fn call<T>(&self, act: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.error());
        }
        let db = self.db.as_ref().expect("let go of in drop alone");
        guard(|| act(db)).map_err(|failure| self.failure.get_or_init(|| failure).error())
    }

    /// Everything written so far is on the disk when this returns.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.call(|db| db.flush())?;
        self.file.sync_data().map_err(|error| self.failure.get_or_init(|| io_failure(&error)).error())
    }

    /// What sled holds turned out to be wrong: from now on every call says so.
    pub(crate) fn condemn(&self, error: StoreError) -> StoreError {
        let failure = match error {
            StoreError::Damaged { reason } => Failure { kind: Kind::Wrong, reason },
            StoreError::Unavailable { reason } => Failure { kind: Kind::Unavailable, reason },
        };
        self.failure.get_or_init(|| failure).error()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if self.failure.get().is_some_and(|failure| failure.kind == Kind::Broken) {
            // Leaked: dropping waits for ever for a flusher that panicked. Its files
            // are about to be moved aside, and what it still writes goes with them. So
            // does its garbage, which would panic in whichever store collects it.
            std::mem::forget(db);
            collect();
        } else {
            close(db);
        }
    }
}

/// Collects what a batch or a scan replaced. All stores of the process share the
/// garbage, so a panic in it tells nothing about this one.
pub(crate) fn collect() {
    for _ in 0..COLLECTIONS {
        let _ = catch_unwind(|| crossbeam_epoch::pin().flush());
    }
}

fn close(db: sled::Db) {
    let (closed, is_closed) = mpsc::channel();
    let closing = move || {
        // A panic while closing loses nothing that was acknowledged.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        let _ = closed.send(());
    };
    if thread::Builder::new().name("store-close".into()).spawn(closing).is_ok() {
        let _ = is_closed.recv_timeout(CLOSE);
    }
}

fn guard<T>(act: impl FnOnce() -> sled::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) => Err(io_failure(&error)),
        Ok(Err(error)) => Err(Failure { kind: Kind::Broken, reason: error.to_string() }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Failure { kind: Kind::Broken, reason: format!("sled panicked: {text}") })
        }
    }
}

/// Errors that another disk or more rights would mend are none of the store's;
/// any other may be damage.
fn io_failure(error: &std::io::Error) -> Failure {
    let is_outside = matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::NotADirectory
            | ErrorKind::OutOfMemory
    );
    // Too many open files, of the process or the machine.
    let is_passing = matches!(error.raw_os_error(), Some(23 | 24));
    let is_held = error.kind() == ErrorKind::Other && error.to_string().starts_with("could not acquire lock");
    let kind = match (is_held, is_outside || is_passing) {
        (true, _) => Kind::Held,
        (false, true) => Kind::Unavailable,
        (false, false) => Kind::Broken,
    };
    Failure { kind, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn check(act: impl FnOnce() -> sled::Result<()>, kind: Kind, reason: &str) {
        let failure = guard(act).expect_err("a failure");
        assert!(failure.kind == kind && failure.reason.contains(reason), "{failure:?}");
    }

    #[test]
    fn a_panic_is_damage_with_its_reason() {
        check(|| panic!("page {} is not there", 7), Kind::Broken, "page 7 is not there");
        check(|| panic!("no page"), Kind::Broken, "no page");
        check(|| std::panic::panic_any(7), Kind::Broken, "no reason given");
        check(|| Err(sled::Error::Corruption { at: None, bt: () }), Kind::Broken, "corrupt");
    }

    #[test]
    fn what_the_disk_or_the_process_lacks_is_no_damage() {
        let failed = |error: io::Error| move || Err(sled::Error::Io(error));
        for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
            check(failed(kind.into()), Kind::Unavailable, "");
        }
        check(failed(io::Error::from_raw_os_error(24)), Kind::Unavailable, "");
        check(failed(io::Error::other("could not acquire lock on \"db\"")), Kind::Held, "lock");
        // The device could not read it.
        check(failed(io::Error::from_raw_os_error(5)), Kind::Broken, "");
        check(failed(ErrorKind::UnexpectedEof.into()), Kind::Broken, "");
    }

    /// With two of them, collecting by hand would collect nothing of sled's.
    #[test]
    fn sled_and_we_collect_the_same_garbage() {
        let locked = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../Cargo.lock");
        let locked = std::fs::read_to_string(locked).expect("the locked versions");
        assert_eq!(locked.matches("name = \"crossbeam-epoch\"\n").count(), 1);
    }
}
