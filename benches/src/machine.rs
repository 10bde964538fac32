//! What a figure was measured on: machine, commit, command.

use std::fs;
use std::process::Command;

/// Printed above the figures.
#[must_use]
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let gib = kib.unwrap_or(0_u64) >> 20;
    let commit = said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]));
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let command: Vec<String> = std::env::args().collect();
    format!(
        "machine: {cores} cores of {}, {gib} GiB; commit {commit}; {profile} build\ncommand: {}",
        model.trim_start_matches([':', ' ', '\t']),
        command.join(" ").rsplit('/').next().unwrap_or_default()
    )
}

fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
