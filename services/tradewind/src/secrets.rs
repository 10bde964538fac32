//! Secrets are files: one a secret, in a directory that a deployment mounts.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tradewind_domain::Name;

#[derive(Clone, Debug)]
pub(crate) struct SecretFiles(PathBuf);

impl SecretFiles {
    /// Makes the directory where it is missing; nobody else may read it.
    pub(crate) fn open(directory: &Path) -> io::Result<SecretFiles> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        Ok(SecretFiles(directory.into()))
    }

    /// Without the line's end that editors add. `None` if there is none of this
    /// name, or it can't be read.
    pub(crate) fn secret(&self, name: &Name) -> Option<Vec<u8>> {
        let name = name.as_str();
        let is_file_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        let mut bytes = is_file_name.then(|| fs::read(self.0.join(name)).ok()).flatten()?;
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        Some(bytes)
    }

    /// The secret of this name as text; drawn and kept where there is none.
    pub(crate) fn drawn(&self, name: &str, shape: impl FnOnce(String) -> String) -> io::Result<String> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                let reason = format!("expected a secret in {}, got an empty file", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let text = shape(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        // Whole or not there at all, whatever happens meanwhile.
        let draft = self.0.join(format!(".{name}"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(&self.0)?.sync_all()?;
        Ok(text)
    }
}

impl tradewind_actuator::Secrets for SecretFiles {
    fn secret(&self, name: &Name) -> Option<Vec<u8>> {
        SecretFiles::secret(self, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_drawn_once_and_names_nothing_outside_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = SecretFiles::open(&directory.path().join("secrets")).unwrap();
        let drawn = secrets.drawn("key", |text| format!("pk_{text}")).unwrap();
        assert!(drawn.starts_with("pk_") && drawn.len() == 67);
        assert_eq!(secrets.drawn("key", |_| unreachable!()).unwrap(), drawn);
        assert_eq!(secrets.secret(&Name::fixed("key")), Some(drawn.into_bytes()));
        fs::write(directory.path().join("secrets/empty"), "\n").unwrap();
        let refused = secrets.drawn("empty", |text| text).unwrap_err();
        assert!(refused.to_string().contains("got an empty file"), "{refused}");
        fs::write(directory.path().join("outside"), "x").unwrap();
        for name in ["../outside", "", ".", "..", "nobody"] {
            assert_eq!(secrets.secret(&Name::new(name).unwrap()), None, "{name}");
        }
    }
}
