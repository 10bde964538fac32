//! Which directory a store is opened in, and what is done with one that can't be
//! trusted.
//!
//! ```text
//! <dir>/fold-2/             the store of fold version 2: sled's files
//! <dir>/fold-2.lock         held while it is open; not empty once it was finished
//! <dir>/fold-2.damaged-1/   what was moved aside; the newest two are kept
//! ```
//! Another fold version's store is another directory, which its own process may have
//! open: only an older one is ever touched, and only once nobody has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tradewind_ports::StoreError;

use crate::lock;
use crate::store::Store;

/// How long another owner may take to be gone.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Directories kept for whoever looks into the damage. More would fill a disk that
/// damages again and again.
const KEPT_ASIDE: usize = 2;

/// What sled takes beside its cache, as `examples/one_million.rs` and docs/adr/0002
/// measured it: so much for any store, and so much for each leaf.
const BESIDE_CACHE_BYTES: u64 = 48 << 20;
const BESIDE_CACHE_BYTES_PER_LEAF: u64 = 60;

/// Below it sled reads every page again and again.
const CACHE_BYTES_MIN: u64 = 8 << 20;

/// What a million customers have.
const LEAVES: u64 = 3_000_000;

/// Leaves a scan gets through in some five seconds, which is half of what a
/// restart may take.
const SCAN_AT_OPEN_LEAVES: u64 = 1_500_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of the fold whose values are stored. Each version has a directory.
    pub fold_version: u32,
    /// Of the whole store, as long as it holds no more than `leaves`.
    pub memory_bytes: u64,
    /// How many it may come to hold. More take more memory, and nothing else.
    pub leaves: u64,
    /// Up to so many leaves a store is compared with its ledger before it is
    /// opened; a larger one behind the first turns, and before it is first written
    /// to. So with more leaves, a few seconds of decisions may be taken on values
    /// that are lost or older, before the store says that it is damaged.
    pub scan_at_open_leaves: u64,
}

impl Settings {
    #[must_use]
    pub fn new(fold_version: u32, memory_bytes: u64) -> Settings {
        Settings { fold_version, memory_bytes, leaves: LEAVES, scan_at_open_leaves: SCAN_AT_OPEN_LEAVES }
    }

    /// Sled's part of the budget that it keeps to by itself.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        let beside = BESIDE_CACHE_BYTES + self.leaves * BESIDE_CACHE_BYTES_PER_LEAF;
        self.memory_bytes.saturating_sub(beside).max(CACHE_BYTES_MIN)
    }
}

/// One partition's place on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub dir: PathBuf,
    pub settings: Settings,
}

#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// There was a store, and it is none any more: `store` is empty. To be
    /// announced; the fold begins at the start of the log.
    pub rebuilt: Option<Rebuilt>,
}

/// Why a store is folded again from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Where the old one is now. `None` if nothing was left of it.
    pub moved_to: Option<PathBuf>,
    pub reason: String,
}

impl Opening {
    /// Opens the store, or an empty one in the place of one that is damaged or
    /// gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: another process has it open, or the disk does
    /// not allow it. Never `Damaged`.
    pub fn open(&self) -> Result<Opened, StoreError> {
        self.open_while(&|| {})
    }

    /// As [`Opening::open`], which takes seconds where there is much to compare;
    /// `alive` is called on the way.
    ///
    /// # Errors
    ///
    /// As [`Opening::open`].
    pub fn open_while(&self, alive: &dyn Fn()) -> Result<Opened, StoreError> {
        let lock = Arc::new(self.lock()?);
        let folder = self.folder();
        let was_finished = lock.metadata().map_err(unavailable)?.len() > 0;
        let rebuilt = if has_entries(&folder).map_err(unavailable)? {
            match Store::open(&folder, &self.settings, lock.clone(), alive) {
                Ok(store) => {
                    finish(&lock).map_err(unavailable)?;
                    return Ok(Opened { store, rebuilt: None });
                }
                Err(StoreError::Damaged { reason }) => {
                    let moved_to = self.rename_aside(&lock).map_err(unavailable)?;
                    Some(Rebuilt { moved_to: Some(moved_to), reason })
                }
                Err(StoreError::Unavailable { reason }) => return Err(StoreError::Unavailable { reason }),
            }
        } else if was_finished {
            Some(Rebuilt { moved_to: None, reason: "its directory is gone".into() })
        } else {
            None
        };
        let store = Store::create(&folder, &self.settings, lock.clone()).map_err(|error| match error {
            // Nothing of it was there before: what fails is the disk.
            StoreError::Damaged { reason } | StoreError::Unavailable { reason } => StoreError::Unavailable { reason },
        })?;
        sync_folder(&self.dir).map_err(unavailable)?;
        finish(&lock).map_err(unavailable)?;
        Ok(Opened { store, rebuilt })
    }

    /// Moves a store aside that said it was damaged after it was opened. It has to
    /// be dropped first. The next [`Opening::open`] finds nothing, and is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: it is still open somewhere, or the disk does not
    /// allow it.
    pub fn move_aside(&self, reason: &str) -> Result<Rebuilt, StoreError> {
        let lock = self.lock()?;
        let is_there = has_entries(&self.folder()).map_err(unavailable)?;
        let moved_to = is_there.then(|| self.rename_aside(&lock)).transpose().map_err(unavailable)?;
        Ok(Rebuilt { moved_to, reason: reason.into() })
    }

    /// Held by the store as long as it is open. It is a file of its own because the
    /// directory may be renamed.
    fn lock(&self) -> Result<File, StoreError> {
        fs::create_dir_all(&self.dir).map_err(unavailable)?;
        let path = self.path(".lock");
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(unavailable)?;
        match lock::wait_for(LOCK_WAIT, || file.try_lock(), |error| matches!(error, TryLockError::WouldBlock)) {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let reason = format!("{} is open already, in this process or another", self.folder().display());
                Err(StoreError::Unavailable { reason })
            }
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }

    fn rename_aside(&self, lock: &File) -> io::Result<PathBuf> {
        let numbers = self.numbers_aside()?;
        let number = numbers.last().map_or(1, |last| last + 1);
        let to = self.path(&format!(".damaged-{number}"));
        fs::rename(self.folder(), &to)?;
        // Nothing is finished here any more.
        lock.set_len(0)?;
        sync_folder(&self.dir)?;
        let surplus = (numbers.len() + 1).saturating_sub(KEPT_ASIDE);
        for number in &numbers[..surplus] {
            fs::remove_dir_all(self.path(&format!(".damaged-{number}")))?;
        }
        Ok(to)
    }

    /// The numbers of what was moved aside before, rising.
    fn numbers_aside(&self) -> io::Result<Vec<u64>> {
        let prefix = format!("fold-{}.damaged-", self.settings.fold_version);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let number: Option<u64> = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn folder(&self) -> PathBuf {
        self.path("")
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("fold-{}{ending}", self.settings.fold_version))
    }
}

/// Notes that a store was completed here, so that its absence is a loss.
fn finish(mut lock: &File) -> io::Result<()> {
    if lock.metadata()?.len() == 0 {
        lock.write_all(b"finished\n")?;
        lock.sync_data()?;
    }
    Ok(())
}

fn has_entries(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}
