//! A directory of a run, below `target/`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::processes::top;

/// Empty when it is made, gone when it is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// # Panics
    ///
    /// It can't be made.
    #[must_use]
    pub fn new(name: &str) -> Scratch {
        let path = top().join("target/benches").join(format!("{name}-{}", std::process::id()));
        // What an earlier run of this number left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory to write to");
        Scratch(path)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is in it, in MiB.
    #[must_use]
    pub fn mib(&self) -> u64 {
        bytes(&self.0) >> 20
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever looks for room finds it below `target/`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        // It may have gone meanwhile.
        Err(_) => 0,
    };
    entries.map(of).sum()
}
