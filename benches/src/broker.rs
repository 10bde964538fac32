//! The local Kafka broker of `deploy/kafka`, started, killed and stopped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A broker in a directory of its own; it is stopped when this is dropped.
#[derive(Debug)]
pub struct Broker {
    script: PathBuf,
    directory: PathBuf,
    pub address: String,
}

impl Broker {
    /// A fresh one: what the directory held before is gone.
    ///
    /// # Panics
    ///
    /// It can't be started; what to do about it is on standard error.
    #[must_use]
    pub fn start(top: &Path, directory: &Path) -> Broker {
        let script = top.join("deploy/kafka/local");
        let mut broker = Broker { script, directory: directory.into(), address: String::new() };
        broker.run("stop");
        // It may not be there.
        let _ = std::fs::remove_dir_all(directory);
        broker.address = broker.run_with(&["start", "--port", "0"]);
        broker
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.run("kill");
    }

    /// On what it had, at the same address.
    pub fn start_again(&self) {
        self.run("start");
    }

    fn run(&self, verb: &str) -> String {
        self.run_with(&[verb])
    }

    fn run_with(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.script);
        let output = command.args(arguments).arg("--dir").arg(&self.directory).output().expect("a script that runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {arguments:?} ended with {}: {said}",
            self.script.display(),
            output.status
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        let _ = Command::new(&self.script).arg("stop").arg("--dir").arg(&self.directory).output();
    }
}
