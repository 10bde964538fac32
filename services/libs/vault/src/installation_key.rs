//! The key that wraps all others: 32 bytes in a file of its own.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use tradewind_domain::{Digest, KeyId, Tenant, Timestamp, derive};
use tradewind_ports::{SealingKey, VaultError};
use tradewind_wire::vault::KeyEntry;

use crate::frame;

const BYTES: usize = 32;

/// Anything for others, or writing for the group. Reading for the group is how a
/// mounted secret reaches a process that is not root.
const FORBIDDEN_MODE: u32 = 0o027;

/// It never prints itself.
#[derive(Clone)]
pub struct InstallationKey {
    key: [u8; BYTES],
}

impl InstallationKey {
    /// # Errors
    ///
    /// The file can't be read, may be read by others, or doesn't hold 32 bytes.
    pub fn load(path: &Path) -> Result<InstallationKey, KeyFileError> {
        let unreadable = |reason| KeyFileError::Unreadable { path: path.into(), reason };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        if mode & FORBIDDEN_MODE != 0 {
            return Err(KeyFileError::Exposed { path: path.into(), mode: mode & 0o777 });
        }
        let mut bytes = Vec::with_capacity(BYTES + 1);
        file.take(BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let key = bytes.as_slice().try_into().map_err(|_| KeyFileError::WrongSize { path: path.into() })?;
        Ok(InstallationKey { key })
    }

    /// Draws a key and keeps it in a new file that its owner alone may read.
    ///
    /// # Errors
    ///
    /// There is such a file already, or it can't be written.
    pub fn create(path: &Path) -> Result<InstallationKey, KeyFileError> {
        let key = random()
            .and_then(|key| {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&key)?;
                file.sync_all()?;
                frame::sync_directory_of(path)?;
                Ok(key)
            })
            .map_err(|reason| KeyFileError::Unwritable { path: path.into(), reason })?;
        Ok(InstallationKey { key })
    }

    /// Tells whether a vault was made with this key, without giving it away.
    pub(crate) fn check(&self) -> [u8; 16] {
        derive("installation", &[&self.key])[..16].try_into().expect("a digest has 32 bytes")
    }

    /// Draws a key for `owner`, and wraps it.
    pub(crate) fn draw(&self, tenant: &Tenant, owner: &Digest, created_at: Timestamp) -> Result<KeyEntry, VaultError> {
        let no_chance = |reason: io::Error| VaultError::Unavailable { reason: format!("draw a key: {reason}") };
        let (id, nonce): ([u8; 16], [u8; 12]) = (random().map_err(no_chance)?, random().map_err(no_chance)?);
        let key: [u8; BYTES] = random().map_err(no_chance)?;
        let id = KeyId::from_bytes(id);
        let associated = associated_data(id, tenant, owner);
        let wrapped = Aes256GcmSiv::new(&self.key.into())
            .encrypt(&Nonce::from(nonce), Payload { msg: &key, aad: &associated })
            .expect("32 bytes are never too many");
        Ok(KeyEntry { id, tenant: tenant.clone(), owner: *owner, wrapped: wrapped.into(), nonce, created_at })
    }

    /// `None` if the entry is not what was wrapped.
    pub(crate) fn unwrap(&self, entry: &KeyEntry) -> Option<SealingKey> {
        let associated = associated_data(entry.id, &entry.tenant, &entry.owner);
        let key = Aes256GcmSiv::new(&self.key.into())
            .decrypt(&Nonce::from(entry.nonce), Payload { msg: &entry.wrapped, aad: &associated })
            .ok()?;
        Some(SealingKey { id: entry.id, key: key.try_into().ok()? })
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InstallationKey(…)")
    }
}

/// What a wrapped key is bound to: nobody can hand one owner's key to another.
fn associated_data(id: KeyId, tenant: &Tenant, owner: &Digest) -> Digest {
    derive("key", &[id.as_bytes(), tenant.as_bytes(), owner])
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|reason| io::Error::other(reason.to_string()))?;
    Ok(bytes)
}

/// Why there is no installation key.
#[derive(Debug)]
pub enum KeyFileError {
    Unreadable {
        path: PathBuf,
        reason: io::Error,
    },
    Unwritable {
        path: PathBuf,
        reason: io::Error,
    },
    /// Others may read or write the file.
    Exposed {
        path: PathBuf,
        mode: u32,
    },
    WrongSize {
        path: PathBuf,
    },
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFileError::Unreadable { path, reason } => {
                write!(formatter, "read the installation key {}: {reason}", path.display())
            }
            KeyFileError::Unwritable { path, reason } => {
                write!(formatter, "make the installation key {}: {reason}", path.display())
            }
            KeyFileError::Exposed { path, mode } => write!(
                formatter,
                "use the installation key {path}: expected mode 600 or 640 at most, got {mode:03o}; run chmod 600 {path}, \
                 and consider the key known to whoever could read it",
                path = path.display()
            ),
            KeyFileError::WrongSize { path } => write!(
                formatter,
                "use the installation key {}: expected a file of exactly {BYTES} bytes; restore it, \
                 no other key opens the vault",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyFileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = InstallationKey::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(InstallationKey::load(&path).unwrap().check(), key.check());
        assert!(matches!(InstallationKey::create(&path), Err(KeyFileError::Unwritable { .. })));
        assert_eq!(InstallationKey::load(&path).unwrap().check(), key.check());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        InstallationKey::create(&path).unwrap();
        for (mode, is_accepted) in
            [(0o600, true), (0o400, true), (0o440, true), (0o604, false), (0o644, false), (0o620, false)]
        {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(InstallationKey::load(&path).is_ok(), is_accepted, "{mode:o}");
        }
    }

    #[test]
    fn a_key_of_another_size_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        InstallationKey::create(&path).unwrap();
        for size in [0, 31, 33] {
            std::fs::write(&path, vec![7; size]).unwrap();
            assert!(matches!(InstallationKey::load(&path), Err(KeyFileError::WrongSize { .. })), "{size}");
        }
    }

    #[test]
    fn a_wrapped_key_belongs_to_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let key = InstallationKey::create(&directory.path().join("key")).unwrap();
        let entry = key.draw(&Tenant::new("demo").unwrap(), &[1; 32], Timestamp::from_millis(0)).unwrap();
        assert!(key.unwrap(&entry).is_some());
        for changed in [
            KeyEntry { owner: [2; 32], ..entry.clone() },
            KeyEntry { tenant: Tenant::new("other").unwrap(), ..entry.clone() },
            KeyEntry { id: KeyId::from_bytes([0; 16]), ..entry },
        ] {
            assert!(key.unwrap(&changed).is_none(), "{changed:?}");
        }
    }
}
