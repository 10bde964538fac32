//! This program, started once more as another process. The child says what it
//! does on standard output, in lines that begin with `> `.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::{EventLog, LogError, Writer};

use crate::work::{self, PARTITIONS};

const ROLE: &str = "LOG_EMBEDDED_ROLE";
const DIRECTORY: &str = "LOG_EMBEDDED_DIRECTORY";
const LIFE: &str = "LOG_EMBEDDED_LIFE";

/// Threads of a writing process: they share commits.
pub(crate) const WORKERS: u64 = 3;

/// Where the ids of one life begin; a life has fewer transactions.
pub(crate) const LIFE_IDS: u64 = 1 << 20;

/// A child process; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
    orders: ChildStdin,
}

impl Process {
    pub(crate) fn start(role: &str, directory: &Path, life: u64) -> Process {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "child::the_other_process", "--nocapture"])
            .env(ROLE, role)
            .env(DIRECTORY, directory)
            .env(LIFE, life.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a child process");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let orders = child.stdin.take().expect("its input");
        Process { child, lines, orders }
    }

    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            // What it was saying as it was killed is no line.
            if self.lines.read_line(&mut line).expect("its output") == 0 || !line.ends_with('\n') {
                return None;
            }
            // The test's own first line may stand before it.
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return Some(said.into());
            }
        }
    }

    /// What it says when it is told to do something.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("its input");
        self.hear().unwrap_or_else(|| panic!("expected an answer to {order:?}"))
    }

    /// As `kill -9` does. What it said before is still heard.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the child ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In one write, so that lines of several threads don't mix.
fn say(text: &str) {
    let line = format!("> {text}\n");
    // Nobody may listen any more.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[test]
#[ignore = "other tests start it in a process of its own"]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let directory = PathBuf::from(std::env::var(DIRECTORY).expect("a directory"));
    let life: u64 = std::env::var(LIFE).expect("a number").parse().expect("a number");
    match role.as_str() {
        "write" => write(&directory, life),
        "open" => match EmbeddedLog::open(&directory, Options::new(PARTITIONS)) {
            Ok(_) => say("opened"),
            Err(error) => say(&error.to_string()),
        },
        "follow" => follow(&directory),
        "obey" => obey(&directory),
        other => panic!("expected a role, got {other:?}"),
    }
}

/// Commits until it is killed, or the log refuses.
fn write(directory: &Path, life: u64) {
    let log = match EmbeddedLog::open(directory, Options::new(PARTITIONS)) {
        Ok(log) => log,
        Err(error) => return say(&format!("refused {error}")),
    };
    say("open");
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let log = &log;
            scope.spawn(move || {
                for sequence in life * LIFE_IDS..(life + 1) * LIFE_IDS {
                    let id = work::id(worker, sequence);
                    if let Err(error) = commit(log, worker, id) {
                        return say(&format!("failed {error}"));
                    }
                    say(&format!("acknowledged {id}"));
                }
            });
        }
    });
}

pub(crate) fn commit(log: &EmbeddedLog, worker: u64, id: u64) -> Result<(), LogError> {
    prepare(log, worker, id)?.commit()
}

/// All of a transaction but its commit.
fn prepare(log: &EmbeddedLog, worker: u64, id: u64) -> Result<Box<dyn Writer>, LogError> {
    let mut writer = log.writer(&format!("worker-{worker}"))?;
    writer.begin()?;
    for (at, record) in work::records(id) {
        writer.send(&at, record)?;
    }
    writer.acknowledge()?;
    Ok(writer)
}

/// Reads beside the writer until it has seen the mark of the end.
fn follow(directory: &Path) {
    let log = EmbeddedLog::open_reader(directory).expect("open beside the writer");
    say("open");
    let mut found;
    loop {
        let is_last = log.bounds(&crate::beside::end()).expect("bounds").end > 0;
        found = work::find(&log).expect("read beside the writer");
        if is_last {
            break;
        }
    }
    found.check(&BTreeSet::new());
    say(&format!("found {}", found.transactions()));
}

/// Does as it is told, a line at a time: `prepare` and `commit` a transaction,
/// `check` that all that was acknowledged is there, and `reopen`.
fn obey(directory: &Path) {
    let open = || EmbeddedLog::open(directory, Options::new(PARTITIONS)).expect("open");
    let mut log = Some(open());
    let mut acknowledged = BTreeSet::new();
    let mut prepared = None;
    let mut id = 0;
    for order in std::io::stdin().lines() {
        let open_log = log.as_ref().expect("an open log");
        match order.expect("an order").as_str() {
            "prepare" => {
                id += 1;
                match prepare(open_log, 0, id) {
                    Ok(writer) => {
                        prepared = Some(writer);
                        say("prepared");
                    }
                    Err(error) => say(kind(&error)),
                }
            }
            "commit" => match prepared.take().expect("a transaction").commit() {
                Ok(()) => {
                    acknowledged.insert(id);
                    say("committed");
                }
                Err(error) => say(kind(&error)),
            },
            "check" => {
                work::find(open_log).expect("read").check(&acknowledged);
                say("checked");
            }
            "reopen" => {
                drop(log.take());
                log = Some(open());
                say("reopened");
            }
            other => panic!("expected an order, got {other:?}"),
        }
    }
}

fn kind(error: &LogError) -> &'static str {
    match error {
        LogError::Fenced => "fenced",
        LogError::Lost { .. } => "lost",
        LogError::Damaged { .. } => "damaged",
        LogError::Indefinite { .. } => "indefinite",
        LogError::Unavailable { .. } => "unavailable",
        LogError::Refused { .. } => "refused",
    }
}
