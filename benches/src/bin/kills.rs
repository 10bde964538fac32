//! Kills the product and its broker again and again while vendors deliver and
//! timers wait, and then counts: nothing accepted is lost, nothing is done twice,
//! nothing is decided otherwise than a naive decider would.
//!
//! `--orchestrator-kills N --broker-kills N --freezes N --seed N`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it is what a run is for")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use tradewind_benches::broker::Broker;
use tradewind_benches::processes::{Installation, Process, build, free_port, top};
use tradewind_benches::verdict::{Door, Left, judge, records};
use tradewind_benches::{arguments, http, machine};
use tradewind_log_kafka::{KafkaLog, KafkaSettings};
use tradewind_ports::{EventLog, Topic};
use tradewind_wire::decision;

const PARTITIONS: u32 = 4;
const BUILD: &str = concat!("tradewind ", env!("CARGO_PKG_VERSION"));
const TENANT: &str = "demo";

const DOORS: [Door; 2] = [
    Door { sender: "shop", vendor: "shopify", account: "demo.myshopify.com", connection: "shop" },
    Door { sender: "desk", vendor: "gorgias", account: "demo", connection: "desk" },
];

/// Of the vendors' time: what people begin they end within some minutes of the world.
const SPEED: u32 = 240;

const VISITS_PER_SECOND: u32 = 3;

/// From one fault to the next.
const BETWEEN_MS: std::ops::Range<u64> = 2_000..5_000;

/// Longer than the group waits for a member: another one takes over meanwhile. From
/// the shorter one a process awakes to be fenced; from the longer one it ends itself.
const FREEZES: [Duration; 2] = [Duration::from_secs(17), Duration::from_secs(22)];

/// Longest time that a fact may wait for its decision, whatever is killed.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Longest time from SIGTERM to the end of a process.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Until what was begun has ended: the last cart falls quiet after a minute, and
/// deliveries that failed come again after some.
const SETTLE: Duration = Duration::from_secs(600);

struct Plan {
    orchestrator_kills: u32,
    broker_kills: u32,
    freezes: u32,
    seed: u64,
}

/// What was done to the installation.
#[derive(Debug, Default)]
struct Faults {
    orchestrator_kills: u32,
    broker_kills: u32,
    freezes: u32,
    actuator_kills: u32,
    connector_kills: u32,
    members_added: u32,
    members_taken: u32,
    /// Processes that ended by themselves, as they should when they can't go on.
    ends: u32,
}

fn main() -> ExitCode {
    let plan = Plan {
        orchestrator_kills: arguments::small("--orchestrator-kills", 50),
        broker_kills: arguments::small("--broker-kills", 5),
        freezes: arguments::small("--freezes", 2),
        seed: arguments::number("--seed", 1),
    };
    println!("{}", machine::describe());
    let directory = top().join("target/kills");
    // What an earlier run left.
    let _ = std::fs::remove_dir_all(directory.join("home"));
    std::fs::create_dir_all(directory.join("secrets")).expect("a directory to write to");
    let binary = build();
    let broker = Broker::start(&top(), &directory.join("kafka"));
    let status_port = free_port();
    let installation = Installation {
        binary,
        directory,
        bootstrap: broker.address.clone(),
        partitions: PARTITIONS,
        ingress: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
        sandbox: format!(
            "seed = {}\nspeed = {SPEED}\ncustomers = 2000\nvisits_per_hour = {}\nquiet_minutes = 1\nlateness_minutes = 0\n\
             deliveries_kept = 1000000\ndelayed = 0\nis_mail_flaky = true\nvisits_max = {}\nmail_port = {}\ndesk_port = {}\nstatus_port = {status_port}\n",
            plan.seed,
            VISITS_PER_SECOND * 3_600 / SPEED,
            visits(&plan),
            free_port(),
            free_port()
        ),
    };
    let status = SocketAddr::from((Ipv4Addr::LOCALHOST, status_port));
    let mut run = Run::start(&installation);
    let faults = run.strike(&plan, &broker);
    println!("faults: {faults:?}");
    let is_settled = run.settle(&broker, status);
    let ask = |path: &str| -> Value {
        let (_, body) = http::get(status, path).expect("the sandbox answers");
        serde_json::from_str(&body).expect("JSON")
    };
    let (deliveries, effects) = (ask("/sandbox/deliveries"), ask("/sandbox/effects"));
    let said = ask("/sandbox/status");
    println!("answers: shop {}, desk {}", said["shop"]["answers"], said["desk"]["answers"]);
    let is_stopped_well = run.stop();
    let settings =
        KafkaSettings { partitions: PARTITIONS, is_dev: true, ..KafkaSettings::new(&broker.address, "endurance") };
    let log = KafkaLog::connect(settings).expect("settings that are good");
    let left =
        Left { log: &log, partitions: PARTITIONS, build: BUILD, tenant: TENANT, doors: &DOORS, deliveries, effects };
    let verdict = judge(&left).expect("a broker that answers");
    for problem in verdict.problems().take(20) {
        println!("  {problem}");
    }
    let wait = longest_wait(&log);
    println!("longest time from a fact to its decision: {:.1} s", wait.as_secs_f64());
    println!("{verdict}");
    if verdict.is_clean() && is_settled && is_stopped_well && wait <= WAIT_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// As many as there is time for while faults go on.
fn visits(plan: &Plan) -> u32 {
    let seconds = plan.orchestrator_kills * 4 + plan.broker_kills * 12 + plan.freezes * 30 + 20;
    seconds * VISITS_PER_SECOND
}

struct Run {
    sandbox: Process,
    connector: Process,
    actuator: Process,
    orchestrators: Vec<Process>,
    fourth: Option<Process>,
    installation: Installation,
}

impl Run {
    /// The sandbox comes first: it sets the merchant up.
    fn start(installation: &Installation) -> Run {
        let key = installation.directory.join("installation.key");
        if !key.exists() {
            let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(32).collect();
            std::fs::write(&key, bytes).expect("a directory to write to");
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
        }
        let mut sandbox = installation.start("sandbox", 0);
        sandbox.wait_until_ready();
        let mut run = Run {
            sandbox,
            connector: installation.start("connector", 0),
            actuator: installation.start("actuator", 0),
            orchestrators: (0..3).map(|member| installation.start("orchestrator", member)).collect(),
            fourth: None,
            installation: installation.clone(),
        };
        run.connector.wait_until_ready();
        run.actuator.wait_until_ready();
        run.orchestrators.iter_mut().for_each(Process::wait_until_ready);
        println!("started: one broker, {PARTITIONS} partitions, 3 orchestrators, connector, actuator, sandbox");
        run
    }

    /// The orchestrator that owns the merchant's partition.
    fn owner(&self) -> Option<usize> {
        let partition = tradewind_domain::partition_of(TENANT, PARTITIONS);
        let line = format!("partition {partition}: ready");
        let owns = |process: &Process| {
            http::get(process.operations, "/readyz").is_ok_and(|(_, body)| body.lines().any(|said| said == line))
        };
        self.orchestrators.iter().position(owns)
    }

    fn strike(&mut self, plan: &Plan, broker: &Broker) -> Faults {
        let mut rng = Rng::with_seed(plan.seed);
        let mut faults = Faults::default();
        let mut next: Vec<&str> = Vec::new();
        next.extend(std::iter::repeat_n("orchestrator", plan.orchestrator_kills as usize));
        next.extend(std::iter::repeat_n("broker", plan.broker_kills as usize));
        next.extend(std::iter::repeat_n("freeze", plan.freezes as usize));
        next.extend(std::iter::repeat_n("actuator", (plan.orchestrator_kills / 8) as usize));
        next.extend(std::iter::repeat_n("connector", (plan.orchestrator_kills / 16) as usize));
        next.extend(["add", "take"].iter().take(2));
        rng.shuffle(&mut next);
        for fault in next {
            std::thread::sleep(Duration::from_millis(rng.u64(BETWEEN_MS)));
            faults.ends += self.revive();
            match fault {
                "orchestrator" => {
                    // Mostly the one with the work.
                    let other = rng.usize(..self.orchestrators.len());
                    let at = if rng.u8(..4) > 0 { self.owner().unwrap_or(other) } else { other };
                    self.orchestrators[at].kill_and_restart();
                    faults.orchestrator_kills += 1;
                }
                "broker" => {
                    broker.kill();
                    broker.start_again();
                    faults.broker_kills += 1;
                }
                "freeze" => {
                    let at = self.owner().unwrap_or(0);
                    self.orchestrators[at].signal("STOP");
                    std::thread::sleep(FREEZES[faults.freezes as usize % FREEZES.len()]);
                    self.orchestrators[at].signal("CONT");
                    faults.freezes += 1;
                }
                "actuator" => {
                    self.actuator.kill_and_restart();
                    faults.actuator_kills += 1;
                }
                "connector" => {
                    self.connector.kill_and_restart();
                    faults.connector_kills += 1;
                }
                // A fourth joins, or goes again in good order.
                _ => match self.fourth.take() {
                    None => {
                        self.fourth = Some(self.installation.start("orchestrator", 3));
                        faults.members_added += 1;
                    }
                    Some(mut fourth) => {
                        fourth.terminate();
                        faults.members_taken += 1;
                    }
                },
            }
        }
        faults
    }

    /// A supervisor's work: what ended is started again.
    fn revive(&mut self) -> u32 {
        let all =
            self.orchestrators.iter_mut().chain([&mut self.connector, &mut self.actuator]).chain(&mut self.fourth);
        let mut ends = 0;
        for process in all {
            if let Some(code) = process.restart_if_ended() {
                println!("  {} had ended with exit code {code}", process.name());
                ends += 1;
            }
        }
        ends
    }

    /// Waits until nothing is delivered, decided or sent any more.
    fn settle(&mut self, broker: &Broker, status: SocketAddr) -> bool {
        let settings =
            KafkaSettings { partitions: PARTITIONS, is_dev: true, ..KafkaSettings::new(&broker.address, "endurance") };
        let log = KafkaLog::connect(settings).expect("settings that are good");
        let partition = tradewind_domain::partition_of(TENANT, PARTITIONS);
        let end = || log.bounds(&Topic::Decisions.partition(partition)).map(|bounds| bounds.end).unwrap_or(0);
        let begun = Instant::now();
        let (mut last, mut quiet_since) = (0, Instant::now());
        while begun.elapsed() < SETTLE {
            std::thread::sleep(Duration::from_secs(1));
            self.revive();
            let Ok((_, body)) = http::get(status, "/sandbox/status") else { continue };
            let said: Value = serde_json::from_str(&body).expect("JSON");
            let waiting = said["shop"]["waiting"].as_u64().unwrap_or(1) + said["desk"]["waiting"].as_u64().unwrap_or(1);
            let now = (end(), said["shop"]["deliveries"].as_u64(), said["mail"]["effects"].as_u64());
            let sum = now.0 * 1_000_003 + now.1.unwrap_or(0) * 1_009 + now.2.unwrap_or(0) + waiting;
            if sum != last || waiting > 0 {
                (last, quiet_since) = (sum, Instant::now());
            }
            // A minute until a cart is quiet; owners commit silent turns every half minute.
            if quiet_since.elapsed() > Duration::from_secs(25) && begun.elapsed() > Duration::from_secs(95) {
                println!("settled after {} s", begun.elapsed().as_secs());
                return true;
            }
        }
        println!("not settled after {} s", SETTLE.as_secs());
        false
    }

    /// True if all of them ended in good order, and in time.
    fn stop(&mut self) -> bool {
        let others = [&mut self.connector, &mut self.actuator, &mut self.sandbox];
        let (mut is_well, mut longest) = (true, Duration::ZERO);
        for process in self.orchestrators.iter_mut().chain(&mut self.fourth).chain(others) {
            let (code, took) = process.terminate();
            longest = longest.max(took);
            if code != Some(0) || took > STOP_MAX {
                println!("  {} did not end in good order but with {code:?} after {took:?}", process.name());
                is_well = false;
            }
        }
        println!("longest stop: {:.1} s", longest.as_secs_f64());
        is_well
    }
}

/// The longest time that a record of the merchant's partition lay on the log before
/// its decision did.
fn longest_wait(log: &KafkaLog) -> Duration {
    let partition = tradewind_domain::partition_of(TENANT, PARTITIONS);
    let of = |topic: Topic| records(log, &topic.partition(partition)).expect("a broker that answers");
    let appended: BTreeMap<u64, i64> =
        of(Topic::Events).iter().map(|record| (record.offset, record.appended_at.millis())).collect();
    let waits = of(Topic::Decisions).into_iter().filter_map(|stored| {
        let (position, _) = decision::decode(&stored).expect("a decision decodes");
        Some(stored.appended_at.millis() - appended.get(&position?.offset)?)
    });
    Duration::from_millis(waits.max().unwrap_or(0).unsigned_abs())
}
