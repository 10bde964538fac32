//! The vault of sealing keys: one append-only file beside the embedded log. Keys
//! stand in it wrapped by the installation's key, which lies elsewhere, so that a
//! copy of the one is worth nothing without the other.
//!
//! - A key is on the disk before anybody gets it.
//! - A key that is erased is gone from the file, not marked in it.
//! - A write that power loss tore off at the end is cut, and said so: nobody was
//!   given a key of it. Damage anywhere else is refused, since keys can't be rebuilt.
//! - One process writes; others read beside it.
//!
//! What the file system or the disk keeps of a file's former bytes is out of
//! reach here; the installation's key, kept on another volume, covers that.

#![forbid(unsafe_code)]

mod copy;
mod file_vault;
mod files;
mod frame;
mod index;
mod installation_key;
mod reader;
mod topic;
mod topic_vault;
#[cfg(test)]
mod vectors;

pub use file_vault::{FileVault, Opened};
pub use frame::Cut;
pub use installation_key::{InstallationKey, KeyFileError};
pub use reader::VaultReader;
pub use topic_vault::{Followed, Rebuilt, TopicVault};
