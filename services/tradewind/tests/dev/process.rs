//! The program as a process: started, asked over HTTP, told to stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes longer, or the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What `dev` is started with: its own ports, and time that flies.
pub(crate) const CONFIGURATION: &str = r#"
[ingress]
address = "127.0.0.1:0"
[console]
address = "127.0.0.1:0"
[operations]
address = "127.0.0.1:0"
[sandbox]
speed = 1200
visits_per_hour = 30
"#;

pub(crate) fn tradewind(directory: &Path, configuration: &str) -> Command {
    let config = directory.join("tradewind.toml");
    std::fs::write(&config, configuration).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
    command.arg("--config").arg(config).arg("--directory").arg(directory.join("installation"));
    command
}

/// A program that ends by itself.
pub(crate) fn ended(mut command: Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code().expect("it was not killed"), String::from_utf8(stderr).unwrap())
}

/// The program, as it runs.
pub(crate) struct Running {
    child: Child,
    /// The lines that it printed at its start.
    pub(crate) announced: String,
    /// Kept open, since it goes on printing.
    _lines: BufReader<ChildStdout>,
}

impl Running {
    /// `tradewind dev`.
    pub(crate) fn dev(directory: &Path) -> Running {
        Running::dev_until(directory, "ctrl-c")
    }

    /// Returns as soon as it has printed this word.
    pub(crate) fn dev_until(directory: &Path, last: &str) -> Running {
        let mut command = tradewind(directory, CONFIGURATION);
        command.arg("dev");
        Running::start(command, last)
    }

    /// Reads what it prints up to the line with this word.
    pub(crate) fn start(mut command: Command, last: &str) -> Running {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut announced = String::new();
        while !announced.contains(last) {
            if lines.read_line(&mut announced).unwrap() == 0 {
                // It may not have ended, but it will say no more.
                let _ = child.kill();
                panic!("it ended early, having said {announced}");
            }
        }
        Running { child, announced, _lines: lines }
    }

    /// The address in the line that begins with this word.
    pub(crate) fn address(&self, word: &str) -> &str {
        let line = self.announced.lines().find(|line| line.trim_start().starts_with(word)).expect("such a line");
        let after = line.split("http://").nth(1).expect("an address in it");
        after.split(['/', ' ']).next().unwrap()
    }

    pub(crate) fn get(&self, word: &str, path: &str) -> (u16, String) {
        get(self.address(word), path)
    }

    /// Asks again until the answer is one of these.
    pub(crate) fn wait_for<T>(&self, word: &str, path: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let (_, body) = self.get(word, path);
            if let Some(found) = wanted(&body) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain, the last answer of {path} was {body}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks it to stop, as a supervisor does. Returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
