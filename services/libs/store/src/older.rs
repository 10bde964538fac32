//! What releases with an older fold left beside a store.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;

use tradewind_ports::StoreError;

use crate::opening::{Opening, unavailable};

impl Opening {
    /// Removes the stores of older fold versions, and what of them was moved aside.
    /// What another process has open stays. Returns the names of what is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the disk does not allow it.
    pub fn remove_older(&self) -> Result<Vec<String>, StoreError> {
        self.older().map_err(unavailable)
    }

    fn older(&self) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        for (version, mut names) in self.by_version()? {
            if version >= self.settings.fold_version {
                continue;
            }
            let lock = self.dir.join(format!("fold-{version}.lock"));
            let held = File::options().append(true).create(true).open(&lock)?;
            match held.try_lock() {
                Ok(()) => {}
                // Its own process is still there.
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            names.retain(|name| self.dir.join(name) != lock);
            for name in &names {
                fs::remove_dir_all(self.dir.join(name))?;
            }
            // Last: as long as it is there, what is missing counts as a loss.
            fs::remove_file(&lock)?;
            removed.append(&mut names);
        }
        Ok(removed)
    }

    /// `fold-2`, `fold-2.lock`, `fold-2.damaged-1` …, by the number.
    fn by_version(&self) -> io::Result<BTreeMap<u32, Vec<String>>> {
        let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for entry in fs::read_dir(&self.dir)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let version = name.strip_prefix("fold-").and_then(|rest| rest.split('.').next()?.parse().ok());
            if let Some(version) = version {
                names.entry(version).or_default().push(name);
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::opening::Settings;

    fn stores(dir: &Path, fold_version: u32) -> Opening {
        Opening { dir: dir.into(), settings: Settings::new(fold_version, 64 << 20) }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_older_releases_left_goes_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        for version in [2, 3, 11] {
            drop(stores(dir.path(), version).open().unwrap());
        }
        stores(dir.path(), 2).move_aside("as the test wants").unwrap();
        drop(stores(dir.path(), 2).open().unwrap());
        fs::write(dir.path().join("folded"), "by hand").unwrap();
        let owners = stores(dir.path(), 3);
        let store = owners.open().unwrap();
        let mut removed = owners.remove_older().unwrap();
        removed.sort();
        assert_eq!(removed, ["fold-2", "fold-2.damaged-1"]);
        assert_eq!(names(dir.path()), ["fold-11", "fold-11.lock", "fold-3", "fold-3.lock", "folded"]);
        assert_eq!(owners.remove_older().unwrap(), [""; 0]);
        drop(store);
    }

    #[test]
    fn a_store_that_an_older_release_has_open_stays() {
        let dir = tempfile::tempdir().unwrap();
        let open = stores(dir.path(), 1).open().unwrap();
        let newer = stores(dir.path(), 2);
        let _store = newer.open().unwrap();
        assert_eq!(newer.remove_older().unwrap(), [""; 0]);
        assert!(names(dir.path()).contains(&"fold-1".into()));
        drop(open);
        // The lock goes when the store's last thread does.
        let begun = Instant::now();
        while newer.remove_older().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is still held");
            std::thread::yield_now();
        }
        assert_eq!(names(dir.path()), ["fold-2", "fold-2.lock"]);
    }
}
