//! Mutants: the code with one rule dropped. Each names the experiment that must
//! notice; one that nobody notices is a rule nobody tests.
//!
//! A mutant is a few texts and others that take their places, in a copy of the
//! checkout. The code itself knows nothing of them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use serde::Deserialize;

use crate::top;

/// Free runs each mutant has to survive; one that is caught is caught in a few.
const SEEDS: &str = "200";

const LIST: &str = "services/libs/simulation/mutants.toml";

#[derive(Debug, Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// One rule dropped.
#[derive(Debug, Deserialize)]
struct Mutant {
    name: String,
    /// The test of the simulation that fails under it: `<file>::<name>`.
    caught_by: String,
    edits: Vec<Edit>,
}

/// A text that stands exactly once in a file, and what takes its place.
#[derive(Debug, Deserialize)]
struct Edit {
    file: PathBuf,
    find: String,
    replace: String,
}

/// Runs the mutant of this name, or all of them. Succeeds if each is caught.
///
/// # Panics
///
/// The list can't be read, or the copy can't be written.
#[must_use]
pub fn run(only: Option<&str>) -> ExitCode {
    let text = fs::read_to_string(top().join(LIST)).expect("the list of mutants");
    let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("read {LIST}: {error}"));
    let chosen: Vec<Mutant> =
        list.mutant.into_iter().filter(|mutant| only.is_none_or(|only| mutant.name == only)).collect();
    if chosen.is_empty() {
        eprintln!("expected the name of a mutant in {LIST}");
        return ExitCode::from(64);
    }
    let copy = top().join("target/mutants");
    let mut failures = 0;
    for mutant in &chosen {
        match check(mutant, &copy) {
            Ok(()) => println_line(&format!("caught: {} by {}", mutant.name, mutant.caught_by)),
            Err(reason) => {
                failures += 1;
                eprintln!("NOT caught: {}: {reason}", mutant.name);
            }
        }
    }
    println_line(&format!("{} passed, {failures} failed", chosen.len() - failures));
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
fn println_line(line: &str) {
    println!("{line}");
}

fn check(mutant: &Mutant, copy: &Path) -> Result<(), String> {
    refresh(copy);
    for edit in &mutant.edits {
        apply(edit, copy)?;
    }
    let (file, test) = mutant.caught_by.split_once("::").ok_or("it names no test as <file>::<name>")?;
    let simulation = ["test", "-p", "tradewind-simulation", "--test", file];
    let built = cargo(copy, &[&simulation[..], &["--no-run"]].concat());
    if !built.status.success() {
        return Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    let tested = cargo(copy, &[&simulation[..], &["--", "--exact", test]].concat());
    if !String::from_utf8_lossy(&tested.stdout).contains("1 failed") {
        return Err(format!("{} did not fail", mutant.caught_by));
    }
    Ok(())
}

fn apply(edit: &Edit, copy: &Path) -> Result<(), String> {
    let path = copy.join(&edit.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", edit.file.display()))?;
    if text.matches(&edit.find).count() != 1 {
        return Err(format!("its text does not stand exactly once in {}", edit.file.display()));
    }
    fs::write(&path, text.replace(&edit.find, &edit.replace)).map_err(|error| error.to_string())
}

/// Brings the copy's sources to the state of the checkout. Files that did not
/// change keep their times, so that little is built again.
fn refresh(copy: &Path) {
    fs::create_dir_all(copy).expect("a folder for the copy");
    for part in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "benches", "proto", "services"] {
        copy_changed(&top().join(part), &copy.join(part));
    }
}

fn copy_changed(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder for the copy");
        // A test that has moved would be there twice.
        for gone in entries(to).difference(&entries(from)) {
            let gone = to.join(gone);
            let removed = if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) };
            removed.expect("what is gone from the checkout goes from the copy");
        }
        for name in entries(from) {
            copy_changed(&from.join(&name), &to.join(&name));
        }
    } else {
        let text = fs::read(from).expect("a file of the checkout");
        if fs::read(to).ok().as_deref() != Some(&text) {
            fs::write(to, text).expect("a file of the copy");
        }
    }
}

fn entries(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).expect("a folder of the checkout, or of its copy");
    entries.map(|entry| entry.expect("an entry of a folder").file_name()).collect()
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        // The checkout's own: what is not ours need not be built again.
        .env("CARGO_TARGET_DIR", top().join("target"))
        .env("TRADEWIND_SEEDS", SEEDS)
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs")
}
