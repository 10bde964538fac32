//! What an installation without servers keeps in its directory:
//!
//! ```text
//! log/                 the embedded log
//! state/<partition>/   the stores of a partition, by fold version
//! state/caught-up      the fold version whose stores were last caught up with the log
//! vault                sealing keys, wrapped
//! installation.key     what wraps them; keep it apart from copies of the rest
//! secrets/             a file a secret
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tradewind_log_embedded::{EmbeddedLog, OpenError, Options};
use tradewind_orchestrator::Shares;
use tradewind_ports::{Clock, EventLog};
use tradewind_store::{Opening, Settings};
use tradewind_telemetry::Part;
use tradewind_vault::{FileVault, Followed, InstallationKey, KeyFileError, Rebuilt, TopicVault, VaultReader};
use tradewind_wire::vault::KeyEntry;

use crate::failure::Failure;
use crate::secrets::SecretFiles;
use crate::stores::PartitionStores;

/// An erased key is given out until it is seen that it is erased.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Installation {
    directory: PathBuf,
}

impl Installation {
    /// Makes the directory where it is missing.
    pub(crate) fn create(directory: &Path) -> Result<Installation, Failure> {
        let refused = |error| Failure::usage(format!("use the directory {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(refused)?;
        Ok(Installation { directory: directory.into() })
    }

    /// One that is there already.
    pub(crate) fn find(directory: &Path) -> Result<Installation, Failure> {
        if !directory.join("log").is_dir() {
            let reason =
                format!("find a log in {}: expected a directory that `tradewind dev` made", directory.display());
            return Err(Failure::usage(reason));
        }
        Ok(Installation { directory: directory.into() })
    }

    pub(crate) fn log(&self, partitions: u32) -> Result<Arc<EmbeddedLog>, Failure> {
        let log = EmbeddedLog::open(&self.directory.join("log"), Options::new(partitions)).map_err(of_log)?;
        if log.cut_bytes() > 0 {
            tracing::warn!(
                bytes = log.cut_bytes(),
                "cut what a power loss had torn off the log; nobody was told it was kept"
            );
        }
        Ok(Arc::new(log))
    }

    /// The log beside whoever writes it.
    pub(crate) fn log_reader(&self) -> Result<Arc<EmbeddedLog>, Failure> {
        EmbeddedLog::open_reader(&self.directory.join("log")).map(Arc::new).map_err(of_log)
    }

    pub(crate) fn vault(&self, clock: Arc<dyn Clock>) -> Result<Arc<FileVault>, Failure> {
        let key = self.key()?;
        let opened = FileVault::open(&self.vault_path(), key, clock).map_err(Failure::unavailable)?;
        if let Some(cut) = opened.cut {
            tracing::warn!(?cut, "cut what a power loss had torn off the vault; nobody was given a key of it");
        }
        Ok(Arc::new(opened.vault))
    }

    /// The vault on the log's own topic, of which this directory has a copy. It is
    /// followed from a thread of its own as long as anybody has it.
    pub(crate) fn topic_vault(
        &self,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        part: Part,
    ) -> Result<Arc<TopicVault>, Failure> {
        let path = self.directory.join("installation.key");
        let key = InstallationKey::load(&path).map_err(Failure::usage)?;
        let Followed { vault, rebuilt } =
            TopicVault::open(log, &self.vault_path(), key, clock).map_err(Failure::unavailable)?;
        match rebuilt {
            None | Some(Rebuilt::Missing) => {}
            Some(rebuilt @ (Rebuilt::Damaged { .. } | Rebuilt::OutOfStep)) => {
                tracing::warn!(?rebuilt, "the copy of the vault is read again from its topic");
            }
        }
        let vault = Arc::new(vault);
        let followed = Arc::downgrade(&vault);
        let follow = move || {
            while let Some(vault) = followed.upgrade() {
                match vault.follow() {
                    Ok(()) => part.ready(),
                    Err(error) => part.waits_for(error.to_string()),
                }
                drop(vault);
                thread::sleep(FOLLOW_EVERY);
            }
        };
        thread::Builder::new().name("vault".into()).spawn(follow).map_err(Failure::unavailable)?;
        Ok(vault)
    }

    fn key(&self) -> Result<InstallationKey, Failure> {
        let path = self.directory.join("installation.key");
        match InstallationKey::load(&path) {
            Err(KeyFileError::Unreadable { reason, .. })
                if reason.kind() == std::io::ErrorKind::NotFound && !self.vault_path().exists() =>
            {
                InstallationKey::create(&path).map_err(Failure::usage)
            }
            loaded => loaded.map_err(Failure::usage),
        }
    }

    /// For whoever only opens what is sealed.
    pub(crate) fn vault_reader(&self) -> Result<VaultReader, Failure> {
        let key = InstallationKey::load(&self.directory.join("installation.key")).map_err(Failure::usage)?;
        VaultReader::open(&self.vault_path(), key).map_err(Failure::unavailable)
    }

    /// The keys of a vault that is a file, wrapped; none where there is no vault.
    pub(crate) fn vault_entries(&self) -> Result<Vec<KeyEntry>, Failure> {
        if !self.vault_path().exists() {
            return Ok(Vec::new());
        }
        self.vault_reader()?.entries().map_err(Failure::unavailable)
    }

    fn vault_path(&self) -> PathBuf {
        self.directory.join("vault")
    }

    pub(crate) fn secrets(&self) -> Result<SecretFiles, Failure> {
        let path = self.directory.join("secrets");
        SecretFiles::open(&path).map_err(|error| Failure::usage(format!("use {}: {error}", path.display())))
    }

    pub(crate) fn stores(&self, partition: u32, fold_version: u32, memory_bytes: u64) -> PartitionStores {
        let dir = self.state().join(partition.to_string());
        let settings = Settings { leaves: Shares::STORE_LEAVES, ..Settings::new(fold_version, memory_bytes) };
        PartitionStores(Opening { dir, settings })
    }

    /// Whether the stores of this fold are those that owned, or were about to, when
    /// this directory was last used. Those of another one lag, if they are there.
    pub(crate) fn has_caught_up(&self, fold_version: u32) -> bool {
        let noted = fs::read_to_string(self.caught_up_path());
        noted.is_ok_and(|noted| noted.trim().parse() == Ok(fold_version))
    }

    pub(crate) fn note_caught_up(&self, fold_version: u32) -> Result<(), Failure> {
        let path = self.caught_up_path();
        let refused = |error| Failure::unavailable(format!("write {}: {error}", path.display()));
        fs::create_dir_all(self.state()).map_err(refused)?;
        fs::write(&path, format!("{fold_version}\n")).map_err(refused)
    }

    fn caught_up_path(&self) -> PathBuf {
        self.state().join("caught-up")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }
}

fn of_log(error: OpenError) -> Failure {
    match error {
        OpenError::Held { .. } => Failure::unavailable(error),
        OpenError::Unfit { .. } => Failure::usage(error),
        OpenError::Log(error) => Failure::stopped(error),
    }
}
