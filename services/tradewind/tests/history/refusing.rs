//! What is asked for wrongly is refused with what to do, and nothing is lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;
use tradewind_log_embedded::EmbeddedLog;
use tradewind_ports::{Record, Topic};

use crate::process::{CONFIGURATION, Running, ended, tradewind};
use crate::{done, kept};

const TWO_ORDERS: &str = "00001 19970101 1 11.77\n00002 19970112 5 77.00\n";

fn import(directory: &Path, file: &Path) -> Command {
    let mut command = tradewind(directory, "");
    command.arg("import").arg(file);
    command
}

fn relocate(directory: &Path, to: &Path) -> Command {
    let mut command = tradewind(directory, CONFIGURATION);
    command.arg("move").arg(to);
    command
}

/// A configuration with nothing in it but its directory.
fn configuration(directory: &Path, name: &str) -> std::path::PathBuf {
    let path = directory.join(format!("{name}.toml"));
    fs::write(&path, format!("directory = \"{}\"\n", directory.join(name).display())).unwrap();
    path
}

fn events(installation: &Path) -> Vec<Record> {
    let log = EmbeddedLog::open_reader(&installation.join("log")).unwrap();
    kept::records(&log, &Topic::Events.partition(0))
}

fn refused(command: Command, expected_code: i32, expected: &[&str]) {
    let (code, said) = ended(command);
    assert_eq!(code, expected_code, "{said}");
    for expected in expected {
        assert!(said.starts_with("failed to ") && said.contains(expected), "expected {expected:?} in {said}");
    }
}

#[test]
fn a_file_that_is_no_orders_imports_nothing() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("orders.txt");
    refused(import(directory.path(), &file), 64, &["open ", "orders.txt", "No such file"]);
    for (text, expected) in [
        (&b"00001 19970101 1 11.77\n00002 19970231 5 77.00\n"[..], "line 2 of the orders: expected a day"),
        (b"00001 19970101 1 11.77\n\xff\xfe\n", "read line 2 of the orders"),
        (b"customer_id date number_of_cds dollar_value\n\n", "expected at least one"),
    ] {
        fs::write(&file, text).unwrap();
        refused(import(directory.path(), &file), 64, &[expected]);
    }
    assert!(!directory.path().join("installation").exists(), "nothing was made");
}

#[test]
fn a_log_that_somebody_writes_is_neither_imported_into_nor_moved() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("orders.txt");
    fs::write(&file, TWO_ORDERS).unwrap();
    let dev = Running::dev(directory.path());
    refused(import(directory.path(), &file), 69, &["writes to", "end it"]);
    let to = configuration(directory.path(), "other");
    refused(relocate(directory.path(), &to), 69, &["writes to", "end it"]);
    assert!(!directory.path().join("other").exists(), "nothing was made");
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn a_move_is_into_another_log_and_an_empty_one() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("orders.txt");
    fs::write(&file, TWO_ORDERS).unwrap();
    let to = configuration(directory.path(), "other");
    refused(relocate(directory.path(), &to), 64, &["find a log in", "tradewind dev"]);

    done(import(directory.path(), &file));
    let same = configuration(directory.path(), "installation");
    refused(relocate(directory.path(), &same), 64, &["expected another log"]);

    fs::write(&file, &TWO_ORDERS[..23]).unwrap();
    let mut other = Command::new(env!("CARGO_BIN_EXE_tradewind"));
    other.arg("--config").arg(&to).arg("import").arg(&file).args(["--account", "another.example.com"]);
    done(other);
    let installations = [directory.path().join("installation"), directory.path().join("other")];
    let before = installations.each_ref().map(|installation| events(installation));
    refused(relocate(directory.path(), &to), 64, &["move into an empty log"]);
    assert_eq!(installations.each_ref().map(|installation| events(installation)), before);
}
