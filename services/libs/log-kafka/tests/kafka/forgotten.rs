//! A broker that is away and back: everybody appends again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
use tradewind_ports::{EventLog, LogError};

use crate::broker::{Broker, events, record, topics};

/// Who asks the broker before it is let in again, and so hears of a cluster without brokers, is chance. So there are many
/// clients, and several silences around the session of a local broker, 3 s.
const CLIENTS: usize = 24;
const SILENCES_MS: [u64; 4] = [3_100, 3_400, 4_000, 4_600];

/// Shorter than some of the silences: what waits then is given up.
const APPEND_TIMEOUT: Duration = Duration::from_secs(3);

/// For all clients to append, some of which have to be reminded.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_broker_that_is_back_is_found_by_all_clients() {
    let Some(broker) = Broker::start("forgotten") else { return };
    let settings = KafkaSettings { append_timeout: APPEND_TIMEOUT, ..broker.settings("forgotten") };
    prepare(&settings, &topics()).expect("topics can be made");
    let clients: Vec<KafkaLog> =
        (0..CLIENTS).map(|_| KafkaLog::connect(settings.clone()).expect("good settings")).collect();
    all_append(&clients);

    amid_appends(&clients, || {
        broker.kill();
        broker.restart();
    });
    for silence in SILENCES_MS {
        amid_appends(&clients, || {
            broker.pause();
            std::thread::sleep(Duration::from_millis(silence));
            broker.resume();
        });
    }
}

/// Every client appends and asks all the time while that happens, and succeeds with both afterwards.
fn amid_appends(clients: &[KafkaLog], happens: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for log in clients {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    // That they fail meanwhile is right.
                    let _ = log.append(&events(), vec![record("amid")]);
                    let _ = log.bounds(&events());
                }
            });
        }
        happens();
        is_over.store(true, Ordering::Relaxed);
    });
    all_append(clients);
}

fn all_append(clients: &[KafkaLog]) {
    let deadline = Instant::now() + PATIENCE;
    for (number, log) in clients.iter().enumerate() {
        let append = || log.append(&events(), vec![record("after")]).and_then(|_| log.bounds(&events()));
        let mut last: Result<_, LogError> = append();
        while last.is_err() && Instant::now() < deadline {
            last = append();
        }
        assert!(last.is_ok(), "client {number} of {CLIENTS} appends no more: {last:?}");
    }
}
