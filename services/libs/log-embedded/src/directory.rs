//! The files of a log, and who may write them.
//!
//! Nothing here opens the database file itself: closing it again would drop the
//! locks that SQLite holds on it for this process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tradewind_ports::LogError;

use crate::damage::from_io;
use crate::opening::OpenError;

/// Read by the group, so that an analyst can have an account of their own.
pub(crate) const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// A reader that checks the files holds the lock for as long as that takes.
const LOCK_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Directory {
        Directory(path.to_path_buf())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("log.db")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.0.join("log.db-wal")
    }

    /// The database while it is being made.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.0.join("new.db")
    }

    pub(crate) fn mark(&self) -> PathBuf {
        self.0.join("durable")
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn create(&self) -> Result<(), LogError> {
        if self.0.is_dir() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.0);
        made.map_err(|error| from_io(&error, &self.0))?;
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_directory(parent)
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        sync_directory(&self.0)
    }
}

fn sync_directory(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| from_io(&error, path))
}

/// The length of a file; `None` if there is none.
pub(crate) fn length(path: &Path) -> Result<Option<u64>, LogError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(from_io(&error, path)),
    }
}

/// The right to write, which ends with the process that has it. The file holds
/// the process's number once the log has been checked, and nothing before.
#[derive(Debug)]
pub(crate) struct WriteLock(File);

impl WriteLock {
    pub(crate) fn take(directory: &Directory) -> Result<WriteLock, OpenError> {
        let path = directory.lock();
        let failed = |error: io::Error| OpenError::Log(from_io(&error, &path));
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let mut file = options.map_err(failed)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_WAIT => pause(),
                Err(TryLockError::WouldBlock) => {
                    let holder = match holder(&mut file).map_err(failed)? {
                        Some(process) => format!("process {process}"),
                        None => "another process".into(),
                    };
                    let directory = directory.path().display();
                    return Err(OpenError::Held {
                        reason: format!("{holder} writes to {directory}: end it, or open the log for reading"),
                    });
                }
            }
        }
        file.set_len(0).map_err(failed)?;
        Ok(WriteLock(file))
    }

    /// Whether the directory still holds what was locked, and no other log lies in its place.
    pub(crate) fn is_in_place(&self, directory: &Directory) -> bool {
        let ours = self.0.metadata().map(|ours| (ours.dev(), ours.ino()));
        let there = fs::metadata(directory.lock()).map(|there| (there.dev(), there.ino()));
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    /// Tells readers that what is there was checked.
    pub(crate) fn announce(&mut self, directory: &Directory) -> Result<(), LogError> {
        let written = self.0.write_all(format!("{}\n", std::process::id()).as_bytes());
        written.map_err(|error| from_io(&error, &directory.lock()))
    }
}

/// Whether a reader must check the files itself.
#[derive(Debug)]
pub(crate) enum Beside {
    /// A writer lives, and checked them when it started.
    Writer,
    /// Nobody writes, and nobody begins to while this is held.
    Nobody { _held: File },
}

pub(crate) fn beside(directory: &Directory) -> Result<Beside, OpenError> {
    let path = directory.lock();
    let failed = |error: io::Error| OpenError::Log(from_io(&error, &path));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = directory.path().display();
            return Err(OpenError::Unfit { reason: format!("{directory} holds no log: a writer makes one") });
        }
        Err(error) => return Err(failed(error)),
    };
    let since = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(Beside::Nobody { _held: file }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if holder(&mut file).map_err(failed)?.is_some() => return Ok(Beside::Writer),
            // It is still checking, and may find that it must not start.
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_WAIT => pause(),
            Err(TryLockError::WouldBlock) => {
                let directory = directory.path().display();
                let reason = format!("{directory}: the writer has not finished opening it");
                return Err(OpenError::Log(LogError::Unavailable { reason }));
            }
        }
    }
}

fn holder(file: &mut File) -> io::Result<Option<u32>> {
    let mut text = String::new();
    io::Seek::rewind(file)?;
    file.take(16).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
