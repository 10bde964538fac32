//! Reads the vault beside the process that writes it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tradewind_domain::KeyId;
use tradewind_ports::{SealingKey, VaultError};
use tradewind_wire::vault::KeyEntry;

use crate::frame::{self, Entry, HEADER_BYTES};
use crate::index::{self, Index, key_at, told};
use crate::installation_key::InstallationKey;

/// Finds keys and makes none. It takes no lock and looks at the file anew at each
/// call, so that it never gives out a key that was erased before.
#[derive(Debug)]
pub struct VaultReader {
    path: PathBuf,
    installation_key: InstallationKey,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    file: File,
    inode: u64,
    end: u64,
    index: Index,
}

impl VaultReader {
    /// # Errors
    ///
    /// There is no vault, it was made with another installation key, or it is damaged.
    pub fn open(path: &Path, installation_key: InstallationKey) -> Result<VaultReader, VaultError> {
        let seen = Seen::open(path, &installation_key)?;
        Ok(VaultReader { path: path.into(), installation_key, seen: Mutex::new(seen) })
    }

    /// The key of this id; `None` once it is erased, or if it never was.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    pub fn key(&self, id: KeyId) -> Result<Option<SealingKey>, VaultError> {
        let mut seen = self.seen.lock().expect("nothing panics while it holds the vault");
        let metadata = std::fs::metadata(&self.path).map_err(|error| told(&self.path, error.into()))?;
        if metadata.ino() != seen.inode {
            *seen = Seen::open(&self.path, &self.installation_key)?;
        } else if metadata.len() > seen.end {
            seen.read_on(&self.path)?;
        }
        let Some(place) = seen.index.of_id(id) else { return Ok(None) };
        key_at(&seen.file, place, &self.installation_key).map(Some).map_err(|fault| told(&self.path, fault))
    }

    /// Every key that is not erased, wrapped, for a vault elsewhere that has the
    /// same installation key.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    pub fn entries(&self) -> Result<Vec<KeyEntry>, VaultError> {
        let Seen { mut file, index, .. } = Seen::open(&self.path, &self.installation_key)?;
        let mut entries = Vec::new();
        let scanned = frame::scan(&mut file, HEADER_BYTES as u64, |entry| {
            if let Entry::Key { place, bytes } = entry {
                let entry = index::decode(place, bytes)?;
                if index.of_id(entry.id).is_some() {
                    entries.push(entry);
                }
            }
            Ok(())
        });
        scanned.map_err(|fault| told(&self.path, fault))?;
        Ok(entries)
    }
}

impl Seen {
    fn open(path: &Path, installation_key: &InstallationKey) -> Result<Seen, VaultError> {
        let unavailable = |error: std::io::Error| told(path, error.into());
        let mut file = File::open(path).map_err(unavailable)?;
        index::check(&mut file, path, installation_key)?;
        let inode = file.metadata().map_err(unavailable)?.ino();
        let mut seen = Seen { file, inode, end: HEADER_BYTES as u64, index: Index::default() };
        seen.read_on(path)?;
        Ok(seen)
    }

    /// What is torn at the end is a write under way.
    fn read_on(&mut self, path: &Path) -> Result<(), VaultError> {
        let scanned = self.index.read(&mut self.file, self.end).map_err(|fault| told(path, fault))?;
        self.end = scanned.end;
        Ok(())
    }
}
