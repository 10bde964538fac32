//! Past orders on a log, and what an owner makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use tradewind_domain::{Account, Tenant, Timestamp};
use tradewind_engine::Leaf;
use tradewind_engine::leaf::{EntityLeaf, Figures};
use tradewind_ports::{EventLog, Topic};
use tradewind_simulation::{Broker, Fault, Faults, ProcessId, START, lineage, shop};
use tradewind_transfer::import::{Import, Pace, Progress};
use tradewind_transfer::orders::{self, Order};
use tradewind_wire::reading::ReadError;

use crate::installation::{self, Installation};

const TEN: &str = " customer_id  date number_of_cds  dollar_value
 00001 19970101  1   11.77
 00002 19970112  1   12.00
 00002 19970112  5   77.00
 00003 19970102  2   20.76
 00003 19970330  2   20.76
 00003 19970402  2   19.54
 00003 19971115  5   57.45
 00003 19971125  4   20.96
 00003 19980528  1   16.99
 00004 19970101  2    0.00
";

const NOW: Timestamp = START;

fn import(pace: Pace) -> Import {
    Import {
        tenant: Tenant::new("demo").unwrap(),
        account: Account::new("cdnow.example.com").unwrap(),
        partition: 0,
        placement: 1,
        pace,
    }
}

const QUICK: Pace = Pace { batch: 4, per_second: None };

fn read(text: &str) -> Vec<Order> {
    orders::read(text.as_bytes()).collect::<Result<_, _>>().unwrap()
}

fn opened() -> Broker {
    let broker = Broker::new();
    installation::append(&broker, 0, START, &lineage());
    // A merchant with workflows on, who would be woken by live facts.
    let shape = shop::Shape { customers: 1, tenants: 1, hours: 1, quiet_minutes: 10, holdout_percent: 0 };
    for fact in shop::set_up(&Tenant::new("demo").unwrap(), shape, START) {
        installation::append(&broker, 0, START, &fact);
    }
    broker
}

/// Orders, customers with an order, and cents, as the projections have them.
fn projected(installation: &Installation) -> (usize, usize, i64) {
    let leaves = installation.state().0;
    let of_entities: Vec<&EntityLeaf> = leaves
        .values()
        .filter_map(|leaf| if let Leaf::Entity(entity) = leaf { Some(entity.as_ref()) } else { None })
        .collect();
    let orders = of_entities.iter().filter_map(|entity| {
        let Figures::Order(order) = &entity.figures else { return None };
        order.placed?;
        order.total
    });
    let cents: Vec<i64> = orders.map(|total| total.minor).collect();
    let is_customer = |entity: &&&EntityLeaf| {
        matches!(entity.figures, Figures::Identifier(_)) && entity.edges.iter().next().is_some()
    };
    (cents.len(), of_entities.iter().filter(is_customer).count(), cents.iter().sum())
}

/// The same from the text, by nothing but its columns.
fn counted(text: &str) -> (usize, usize, i64) {
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let customers: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    let cents = rows.iter().map(|row| row[3].replace('.', "").parse::<i64>().unwrap()).sum();
    (rows.len(), customers.len(), cents)
}

fn folded(broker: Broker) -> Installation {
    let mut installation = Installation::recover(broker, 1);
    assert_eq!(installation.work(), 0, "history starts nothing");
    assert_eq!(installation.commands(), []);
    installation.stop();
    installation
}

#[test]
fn ten_orders_become_history() {
    let broker = opened();
    let mut reports = Vec::new();
    let done = import(QUICK)
        .run(&installation::connect(&broker), &read(TEN), NOW, &mut |progress| {
            reports.push((progress.done(), progress.total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(reports, [(4, 10), (8, 10), (10, 10)]);
    assert_eq!((done.appended, done.already, done.total), (10, 0, 10));
    assert_eq!(counted(TEN), (10, 4, 25_723));
    assert_eq!(projected(&folded(broker)), counted(TEN));
}

#[test]
fn an_import_goes_on_where_it_stopped() {
    let broker = opened();
    let log = installation::connect(&broker);
    let import = import(QUICK);
    let stopped = import.run(&log, &read(TEN), NOW, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.appended, stopped.total), (4, 10));
    let done = import.run(&log, &read(TEN), NOW, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((done.appended, done.already), (6, 4));
    let again = import.run(&log, &read(TEN), NOW, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((again.appended, again.already, again.done()), (0, 10, 10));
    assert_eq!(projected(&folded(broker)), counted(TEN));
}

#[test]
fn an_append_nobody_knows_about_is_found_again() {
    for fault in [Fault::LoseResponse, Fault::LoseRequest] {
        let broker = opened();
        let faults = Faults::none();
        let keep_going = &mut |_: &Progress| ControlFlow::Continue(());
        // Requests: the bounds, then an append a batch.
        let troubled = broker.connect(ProcessId(1), &Faults::at([(2, fault)]));
        let error = import(QUICK).run(&troubled, &read(TEN), NOW, keep_going).unwrap_err();
        assert!(matches!(error, ReadError::Log(_)), "{error}");
        let log = broker.connect(ProcessId(1), &faults);
        let done = import(QUICK).run(&log, &read(TEN), NOW, keep_going).unwrap();
        assert_eq!(done.already, if fault == Fault::LoseResponse { 8 } else { 4 });
        assert_eq!(
            broker.records(&Topic::Events.partition(0)).iter().filter(|stored| stored.key == b"demo").count(),
            17
        );
        assert_eq!(projected(&folded(broker)), counted(TEN));
    }
}

#[test]
fn orders_twice_on_the_log_count_once() {
    let broker = opened();
    let log = installation::connect(&broker);
    import(QUICK).run(&log, &read(TEN), NOW, &mut |_| ControlFlow::Continue(())).unwrap();
    for stored in broker.records(&Topic::Events.partition(0)) {
        let copy = tradewind_ports::NewRecord { key: stored.key, headers: stored.headers, value: stored.value };
        log.append(&Topic::Events.partition(0), vec![copy]).unwrap();
    }
    assert_eq!(projected(&folded(broker)), counted(TEN));
}

#[test]
fn the_real_store_comes_out_as_its_file_counts_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/golden/CDNOW_master.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "expected the orders at {}", path.display());
        eprintln!("skipped: there are no orders at {}", path.display());
        return;
    };
    let broker = opened();
    let orders = read(&text);
    let pace = Pace { batch: 1_000, per_second: None };
    let done =
        import(pace).run(&installation::connect(&broker), &orders, NOW, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(done.appended, 69_659);
    let expected = counted(&text);
    assert_eq!((expected.0, expected.1), (69_659, 23_570));
    let installation = folded(broker);
    assert_eq!(projected(&installation), expected);

    // What one customer's orders come to, too: the edges hold the newest 64.
    let mut orders_of: BTreeMap<&str, usize> = BTreeMap::new();
    for order in &orders {
        *orders_of.entry(&order.customer).or_default() += 1;
    }
    let kept: usize = orders_of.values().map(|count| (*count).min(tradewind_engine::leaf::MAX_EDGES)).sum();
    let edges: usize = installation
        .state()
        .0
        .values()
        .map(|leaf| {
            if let Leaf::Entity(e) = leaf
                && matches!(e.figures, Figures::Identifier(_))
            {
                e.edges.iter().count()
            } else {
                0
            }
        })
        .sum();
    assert_eq!(edges, kept);
}
