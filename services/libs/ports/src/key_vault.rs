//! The vault of sealing keys: the one thing that is not a fold of the log.

use std::fmt;

use tradewind_domain::{Digest, KeyId, Tenant};

/// A key with its id. It never prints itself.
#[derive(Clone)]
pub struct SealingKey {
    pub id: KeyId,
    pub key: [u8; 32],
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealingKey({})", self.id)
    }
}

#[derive(Debug)]
pub enum VaultError {
    /// What is stored is not what was written; keys can't be rebuilt: restore.
    Damaged {
        reason: String,
    },
    Unavailable {
        reason: String,
    },
}

impl fmt::Display for VaultError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VaultError::Damaged { reason } => {
                write!(formatter, "read the key vault: {reason}; restore it from its backup, it can't be rebuilt")
            }
            VaultError::Unavailable { reason } => write!(formatter, "use the key vault: {reason}"),
        }
    }
}

impl std::error::Error for VaultError {}

pub trait KeyVault: Send + Sync {
    /// The key of `owner` (H over the strongest identifier or the object), made
    /// and durable where there was none.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    fn key_of(&self, tenant: &Tenant, owner: &Digest) -> Result<SealingKey, VaultError>;

    /// The key of `owner` if it can be told without waiting for a disk or a network. `None` says nothing about whether
    /// there is one.
    fn at_hand(&self, _tenant: &Tenant, _owner: &Digest) -> Option<SealingKey> {
        None
    }

    /// The key of this id; `None` once it is erased, or if it never was.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    fn key(&self, id: KeyId) -> Result<Option<SealingKey>, VaultError>;

    /// Erases every key of `owner`; returns how many there were.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    fn erase(&self, tenant: &Tenant, owner: &Digest) -> Result<u32, VaultError>;
}
