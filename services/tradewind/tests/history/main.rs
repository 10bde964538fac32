//! History that comes from elsewhere, as the product takes it: past orders that
//! are imported and a whole log that is moved, in a directory and on a real Kafka
//! broker.

#![forbid(unsafe_code)]

mod importing;
mod kept;
#[path = "../../../libs/log-kafka/tests/kafka/local.rs"]
mod local;
mod moving;
mod on_kafka;
mod orders;
#[path = "../dev/process.rs"]
#[allow(dead_code, reason = "the tests of dev use the rest")]
mod process;
mod refusing;

use std::process::{Command, Output};

/// What the program printed, having done what it was asked to.
fn done(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "it ended with {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
