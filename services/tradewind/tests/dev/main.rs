//! `tradewind dev` from outside, as whoever tries it out meets it.

#![forbid(unsafe_code)]

mod process;

use serde_json::Value;
use tempfile::tempdir;

use process::{CONFIGURATION, Running, ended, tradewind};

/// The ids of the commands that had an effect, and how often.
fn effects(body: &str) -> Vec<(String, u64)> {
    let answer: Value = serde_json::from_str(body).unwrap();
    let effects = answer["effects"].as_array().unwrap();
    effects
        .iter()
        .map(|effect| (effect["unique_id"].as_str().unwrap().to_owned(), effect["count"].as_u64().unwrap()))
        .collect()
}

fn some_effects(dev: &Running) -> Vec<(String, u64)> {
    let enough = |body: &str| Some(effects(body)).filter(|effects| effects.len() >= 3);
    dev.wait_for("sandbox", "/sandbox/effects", enough)
}

#[test]
fn carts_left_alone_become_one_message_each_across_a_stop_and_a_kill() {
    let directory = tempdir().unwrap();
    let mut commands = Vec::new();
    for run in ["stopped", "killed", "stopped again"] {
        let dev = Running::dev(directory.path());
        dev.wait_for("operations", "/readyz", |body| body.contains("partition 0: ready").then_some(()));
        for (command, count) in some_effects(&dev) {
            assert_eq!(count, 1, "{command} had its effect more than once in the run that was {run}");
            assert!(!commands.contains(&command), "{command} had its effect again in the run that was {run}");
            commands.push(command);
        }
        if run == "killed" {
            dev.kill();
        } else {
            assert_eq!(dev.terminate(), Some(0));
        }
    }
}

/// What `why` says of an id.
fn why(directory: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    let output = tradewind(directory, CONFIGURATION).arg("why").args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn why_is_told_beside_the_running_product_and_after_it() {
    let directory = tempdir().unwrap();
    let dev = Running::dev(directory.path());
    let (command, _) = some_effects(&dev)[0].clone();
    // The outcome is appended behind the effect.
    let succeeded = |(code, said): &(i32, String)| *code == 0 && said.contains("succeeded: the vendor has done it");
    let begun = std::time::Instant::now();
    let mut told = why(directory.path(), &[&command]);
    while !succeeded(&told) {
        assert!(begun.elapsed() < process::PATIENCE, "{}", told.1);
        told = why(directory.path(), &[&command]);
    }
    let (_, said) = told;
    assert!(said.contains("commerce.cart.updated.v1") && said.contains("quiet"), "{said}");
    assert!(!said.contains("@example.com"), "{said}");
    assert_eq!(dev.terminate(), Some(0));

    let (code, said) = why(directory.path(), &[&command, "--personal"]);
    assert!(code == 0 && said.contains("@example.com"), "{said}");
    let (code, said) = why(directory.path(), &["01a20e04-35ac-883a-8396-000000000000"]);
    assert!(code == 64 && said.contains("no decision on this log"), "{said}");
    let (code, said) = why(directory.path(), &["nonsense"]);
    assert!(code == 64 && said.contains("expected a UUID"), "{said}");
    let elsewhere = tempdir().unwrap();
    let (code, said) = why(elsewhere.path(), &[&command]);
    assert!(code == 64 && said.contains("expected a directory"), "{said}");
}

#[test]
fn the_console_shows_what_happens_and_opens_nothing_without_the_key() {
    let directory = tempdir().unwrap();
    let dev = Running::dev(directory.path());
    let (status, page) = dev.get("console", "/");
    assert!(status == 200 && page.contains("<title>Tradewind"), "{page}");
    some_effects(&dev);
    let body = dev.wait_for("console", "/api/status", |body| body.contains("\"commands\":").then(|| body.to_owned()));
    assert!(body.contains("\"kind\":\"dev\"") && body.contains("\"personal\":\"sealed\""), "{body}");
}

#[test]
fn what_a_probe_asks_is_answered_from_the_start() {
    let directory = tempdir().unwrap();
    let dev = Running::dev_until(directory.path(), "directory");
    dev.wait_for("operations", "/livez", |body| body.contains("alive").then_some(()));
    dev.wait_for("operations", "/readyz", |body| body.contains("connector: ready").then_some(()));
    let facts = |body: &str| body.lines().any(|line| line.starts_with("orchestrator_facts_total{} ")).then_some(());
    dev.wait_for("operations", "/metrics", facts);
    assert_eq!(dev.get("webhooks", "/v1/in/nobody").0, 405, "only deliveries are taken in");
}

#[test]
fn a_start_that_is_still_folding_can_be_stopped() {
    let directory = tempdir().unwrap();
    let orders: String = (1..=20_000).map(|customer| format!("{customer:05} 19970101  1   11.77\n")).collect();
    std::fs::write(directory.path().join("orders.txt"), orders).unwrap();
    let mut command = tradewind(directory.path(), CONFIGURATION);
    command.arg("import").arg(directory.path().join("orders.txt"));
    let (code, said) = ended(command);
    assert_eq!(code, 0, "{said}");
    std::fs::remove_dir_all(directory.path().join("installation/state")).unwrap();
    assert_eq!(Running::dev_until(directory.path(), "operations").terminate(), Some(0));
    // Nothing is lost by that.
    let dev = Running::dev(directory.path());
    dev.wait_for("operations", "/readyz", |body| body.contains("partition 0: ready").then_some(()));
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn an_import_beside_it_says_what_live_facts_took_meanwhile() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("orders.txt");
    let orders: String = (1..=10_000).map(|customer| format!("{customer:05} 19970101  1   11.77\n")).collect();
    std::fs::write(&file, orders).unwrap();
    let with_import = || {
        let mut command = tradewind(directory.path(), CONFIGURATION);
        command.arg("dev").arg("--import").arg(&file);
        Running::start(command, "looked at)")
    };
    let dev = with_import();
    let said = &dev.announced;
    assert!(said.contains("imported 10000 orders") && said.contains("0 were there already, of 10000"), "{said}");
    // At 5,000 orders a second there is time for a look.
    let looked_at = said.rsplit_once('(').and_then(|(_, text)| text.split(' ').next()?.parse::<u32>().ok());
    assert!(looked_at.is_some_and(|looked_at| looked_at > 0), "{said}");
    assert_eq!(dev.terminate(), Some(0));
    assert!(with_import().announced.contains("imported 0 orders"));
}

#[test]
fn a_broken_configuration_ends_it_with_the_line_and_what_was_expected() {
    let directory = tempdir().unwrap();
    let mut command = tradewind(directory.path(), "installation = \"demo\"\npartitions = \"many\"\n");
    command.arg("dev");
    let (code, said) = ended(command);
    assert_eq!(code, 64);
    assert!(said.contains("line 2") && said.contains("expected a number of partitions from 1 to 1000"), "{said}");

    let mut command = tradewind(directory.path(), "");
    command.args(["dev", "--speed", "0"]);
    let (code, said) = ended(command);
    assert_eq!(code, 64);
    assert!(said.contains("expected a speed from 1 to 3600"), "{said}");
}

#[test]
fn two_of_them_do_not_share_a_directory() {
    let directory = tempdir().unwrap();
    let dev = Running::dev(directory.path());
    let mut command = tradewind(directory.path(), CONFIGURATION);
    command.arg("dev");
    let (code, said) = ended(command);
    assert_eq!(code, 69);
    assert!(said.contains("writes to") && said.contains("end it"), "{said}");
    drop(dev);
}

#[test]
fn a_log_keeps_its_number_of_partitions() {
    let directory = tempdir().unwrap();
    Running::dev(directory.path()).terminate();
    let mut command = tradewind(directory.path(), CONFIGURATION);
    command.args(["dev", "--partitions", "3"]);
    let (code, said) = ended(command);
    assert_eq!(code, 64);
    assert!(said.contains("partitions"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let directory = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = tradewind(directory.path(), &format!("[ingress]\naddress = \"{address}\""));
    command.arg("dev");
    let (code, said) = ended(command);
    assert_eq!(code, 69);
    assert!(said.contains(&address.to_string()) && said.contains("[ingress]"), "{said}");
}
