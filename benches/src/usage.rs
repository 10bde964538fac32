//! What a process takes: processor time and memory, as Linux counts them.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Of `/proc/<pid>/stat`: Linux gives it to programs in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// This process.
pub const OURSELVES: &str = "self";

/// Processor time until now, all threads together.
///
/// # Panics
///
/// There is no such process.
#[must_use]
pub fn processor_time(pid: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that runs");
    // The name in brackets may hold anything; what follows it are numbers.
    let numbers = stat.rsplit_once(')').expect("the name of a process").1;
    let ticks = |at: usize| numbers.split_whitespace().nth(at).and_then(|number| number.parse::<u32>().ok());
    TICK * (ticks(11).expect("utime") + ticks(12).expect("stime"))
}

/// The pid of the broker in this directory.
///
/// # Panics
///
/// None runs there.
#[must_use]
pub fn broker_pid(directory: &Path) -> String {
    fs::read_to_string(directory.join("pid")).expect("a broker that runs").trim().to_owned()
}

/// Most memory that was resident since [`forget_peak`], in MiB.
///
/// # Panics
///
/// This is not Linux.
#[must_use]
pub fn peak_mib() -> u64 {
    status("VmHWM:") / 1024
}

/// Begins to look for the peak anew.
pub fn forget_peak() {
    // Where it is not allowed the peak is that of the whole life, which is no less.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of the status");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}
