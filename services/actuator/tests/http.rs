//! A command on its way over a real connection, to a server on the loopback.

#![forbid(unsafe_code)]

mod world;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use tradewind_actuator::{Actuator, Clocks, Counted, HttpCalls, Ports, Settings, SystemClocks};
use tradewind_domain::OutcomeState;
use tradewind_egress::{Client, Reach, Settings as Egress};
use tradewind_simulation::{Faults, ProcessId};
use tradewind_telemetry::Metrics;

use world::World;
use world::setting::{self, MemoryVault, OneSecret};
use world::vendor::{Kind, Temper, Vendor};

#[test]
fn a_command_leaves_for_the_sandbox_with_its_key_and_comes_back_as_an_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        while !text.ends_with(b"jane@example.com") {
            let length = stream.read(&mut chunk).unwrap();
            assert!(length > 0, "the request ended early");
            text.extend_from_slice(&chunk[..length]);
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
        // What is under way ends, nothing else begins.
        stopped.store(true, Ordering::Relaxed);
        String::from_utf8(text).unwrap()
    });

    let world = World::new(Rng::with_seed(1), Vendor::new(Kind::Keyed, Temper::CALM));
    setting::set_up(&world);
    let vault = Arc::new(MemoryVault::default());
    let now = SystemClocks.now();
    setting::issue(&world, &setting::command(&vault, 1, 100, now.wall, 60_000));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let egress = Egress {
        reach: Reach::PublicAndSandbox,
        user_agent: "Tradewind/1 (+https://example.com)".into(),
        answer_bytes_max: 1 << 16,
    };
    let ports = Ports {
        log: Arc::new(world.broker.connect(ProcessId(1), &Faults::none())),
        vault,
        secrets: Arc::new(OneSecret),
        clocks: Arc::new(SystemClocks),
        calls: Box::new(HttpCalls::new(Client::new(egress).unwrap(), runtime.handle().clone())),
        counted: Counted::new(&Metrics::new()),
    };
    let settings = Settings { origin: Some(origin), ..setting::settings(Kind::Keyed) };
    let mut actuator = Actuator::recover(settings, ports).unwrap();
    actuator.run(&stop, &|| {}).unwrap();

    let request = served.join().unwrap();
    assert!(request.starts_with("POST /effects HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Key 1\r\n"), "{request}");
    let outcomes = setting::outcomes(&world);
    assert_eq!(outcomes.len(), 1);
    assert_eq!((outcomes[0].1.state, outcomes[0].1.attempt), (OutcomeState::Succeeded, 1));
    assert_eq!(actuator.position(), setting::commands_end(&world));
}
