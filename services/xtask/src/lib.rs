//! What the repository asks of itself.

#![forbid(unsafe_code)]

pub mod mutants;
pub mod shape;

use std::path::{Path, PathBuf};

/// The top of the checkout.
///
/// # Panics
///
/// The crate is not where it belongs.
#[must_use]
pub fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("expected the crate at services/xtask").to_path_buf()
}

/// Every file below `folder` whose name ends so, build output left out.
///
/// # Panics
///
/// A folder can't be read.
#[must_use]
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("an entry of a folder").path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
