//! A Kafka broker of its own for a test, from `deploy/kafka/local`. Other crates'
//! tests share this file.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Exit code of `deploy/kafka/local` where Java, Maven or the artefacts can't be had.
const UNAVAILABLE: i32 = 69;

/// Stopped, and its data deleted, when dropped, and when its test panics or is killed.
pub(crate) struct Broker {
    script: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) address: String,
    /// Ends the broker when its standard input does.
    warden: Child,
}

impl Broker {
    /// `None`, said on stderr, where there is no Java or Maven; a failure where `CI` is set.
    pub(crate) fn start(name: &str) -> Option<Broker> {
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|top| top.join("deploy/kafka/local"));
        let script = above.find(|script| script.exists()).expect("deploy/kafka/local at the repository's top");
        let directory = std::env::temp_dir().join(format!("tradewind-kafka-{}-{name}", std::process::id()));
        let warden = Command::new("sh")
            .args(["-c", r#"cat; "$0" kill --dir "$1"; rm -rf "$1""#])
            .arg(&script)
            .arg(&directory)
            .stdin(Stdio::piped())
            // A Ctrl-C meant for the test doesn't end it.
            .process_group(0)
            .spawn()
            .expect("a shell runs");
        let mut broker = Broker { script, directory, address: String::new(), warden };
        let output = broker.local(&["start", "--port", "0"]);
        if output.status.code() == Some(UNAVAILABLE) {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            assert!(std::env::var_os("CI").is_none(), "CI needs a Kafka broker: {reason}");
            // Not `eprintln`, which is shown of tests that fail only.
            writeln!(std::io::stderr(), "skipped {name}: {reason}").expect("stderr can be written");
            return None;
        }
        broker.address = address(&output);
        Some(broker)
    }

    pub(crate) fn local(&self, arguments: &[&str]) -> Output {
        let (command, options) = arguments.split_first().expect("a command");
        let mut process = Command::new(&self.script);
        process.arg(command).arg("--dir").arg(&self.directory).args(options).env("TRADEWIND_KAFKA_HEAP", "384m");
        process.output().expect("deploy/kafka/local runs")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.warden.stdin.take());
        let _ = self.warden.wait();
    }
}

pub(crate) fn address(output: &Output) -> String {
    assert!(output.status.success(), "no broker: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
