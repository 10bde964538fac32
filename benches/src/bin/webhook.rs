//! Webhooks accepted a second, signature checked and durable on the embedded log:
//! the connector, against axum with the same check and the same append of one record.
//!
//! `--seconds N --connections N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tradewind_benches::figures::{micros_each, percent, rate, spread};
use tradewind_benches::intake::{Plain, Product, deliveries};
use tradewind_benches::scratch::Scratch;
use tradewind_benches::usage::{OURSELVES, processor_time};
use tradewind_benches::{arguments, client, machine};
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::EventLog;

fn main() {
    let seconds = Duration::from_secs(arguments::number("--seconds", 10));
    let connections = usize::try_from(arguments::number("--connections", 64)).expect("64 bits");
    println!("{}", machine::describe());
    let one = measure((1, "baseline, axum + HMAC + one append"), connections, seconds, &|log, listener, runtime, _| {
        Plain::serve(log, listener, runtime, 1);
    });
    let two = measure(
        (2, "the same with two appends in turn, raw and fact"),
        connections,
        seconds,
        &|log, listener, runtime, _| {
            Plain::serve(log, listener, runtime, 2);
        },
    );
    let ours = measure((3, "the connector"), connections, seconds, &|log, listener, runtime, home| {
        Product::serve(log, listener, runtime, home);
    });
    println!("ratio to the baseline: {}; to the one with two appends: {}", percent(ours, one), percent(ours, two));
}

type Serve<'a> = &'a dyn Fn(Arc<dyn EventLog>, TcpListener, &Runtime, &Scratch);

/// Peak in a closed loop, then times at half of it.
fn measure((place, name): (u8, &str), connections: usize, seconds: Duration, serve: Serve<'_>) -> f64 {
    // A place of its own: the log before may still be closing, and SQLite knows its files by their names.
    let scratch = Scratch::new(&format!("webhook-{place}"));
    let log = EmbeddedLog::open(&scratch.join("log"), Options::new(1)).expect("a directory to write to");
    let log: Arc<dyn EventLog> = Arc::new(log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("a port");
    serve(log, listener, &runtime, &scratch);
    let requests = deliveries(1_000);
    // Connections are made, keys too.
    drop(client::run(address, &requests, connections, Duration::from_secs(2), None));
    let before = processor_time(OURSELVES);
    let times = client::run(address, &requests, connections, seconds, None);
    let core = micros_each(processor_time(OURSELVES) - before, times.len() as u64);
    let peak = rate(times.len() as u64, seconds);
    println!("{name}: {peak:.0}/s, {core:.0} us of processor each with the client's; {}", spread(times));
    let times = client::run(address, &requests, connections, seconds, Some(peak / 2.0));
    println!("  at half load: {}", spread(times));
    runtime.shutdown_timeout(Duration::from_secs(5));
    peak
}
