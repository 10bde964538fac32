//! Files that one process writes and that are replaced whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tradewind_ports::VaultError;

use crate::frame;
use crate::index::told;

pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Beside the file, since the file itself is replaced when it is rewritten.
pub(crate) fn lock(path: &Path) -> Result<File, VaultError> {
    let lock_path = beside(path, ".lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let lock = lock.map_err(|error| told(&lock_path, error.into()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::Error(error)) => Err(told(&lock_path, error.into())),
        Err(TryLockError::WouldBlock) => {
            Err(VaultError::Unavailable { reason: format!("{}: another process writes to it", path.display()) })
        }
    }
}

/// Writes a new file and puts it in the place of the one there may be.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let new_path = beside(path, ".new");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new_path)?;
    write(&mut new)?;
    new.sync_all()?;
    std::fs::rename(&new_path, path)?;
    frame::sync_directory_of(path)
}
