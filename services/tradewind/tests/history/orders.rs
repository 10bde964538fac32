//! The orders of a real store: as its file counts them, and as the product's own
//! stores hold them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tradewind_domain::{Account, EntityKey, EntityKind, Tenant, Vendor, partition_of};
use tradewind_engine::leaf::{EntityLeaf, Figures};
use tradewind_engine::{Leaf, LeafKey, Rules};
use tradewind_ports::StateStore as _;
use tradewind_store::{Opened, Opening, Settings, Store};

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) orders: u64,
    pub(crate) customers: u64,
    pub(crate) cents: i64,
    /// All leaves of the tenant's partition.
    pub(crate) leaves: u64,
}

pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/CDNOW_master.txt")
}

/// `None`, said on stderr, where they are not; a failure where `CI` is set.
pub(crate) fn real() -> Option<String> {
    let path = path();
    let read = std::fs::read_to_string(&path);
    if read.is_err() {
        assert!(std::env::var_os("CI").is_none(), "expected the orders at {}", path.display());
        // Not `eprintln`, which is shown of tests that fail only.
        let skipped = format!("skipped: there are no orders at {}\n", path.display());
        std::io::stderr().write_all(skipped.as_bytes()).expect("a standard error to write to");
    }
    read.ok()
}

/// By nothing but the columns: orders, different customers, cents. Each order and
/// each customer has a leaf.
pub(crate) fn counted(text: &str) -> Counted {
    let mut counted = Counted::default();
    for (_, row) in rows(text) {
        counted.orders += 1;
        counted.customers += u64::from(row.ordinal == 1);
        counted.cents += row.dollars.replace('.', "").parse::<i64>().unwrap();
    }
    Counted { leaves: counted.orders + counted.customers, ..counted }
}

/// The same from the stores in `state`, looked up order by order.
pub(crate) fn projected(state: &Path, partitions: u32, text: &str) -> Counted {
    let tenant = Tenant::new("demo").unwrap();
    let store = store(state, partition_of(tenant.as_str(), partitions));
    let mut counted = Counted { leaves: store.sizes().unwrap().leaves, ..Counted::default() };
    for (customer, row) in rows(text) {
        let order = leaf(&store, &tenant, EntityKind::Order, &format!("{customer}-{}", row.ordinal));
        if let Some(EntityLeaf { figures: Figures::Order(order), .. }) = order
            && order.placed.is_some()
        {
            counted.orders += 1;
            counted.cents += order.total.map_or(0, |total| total.minor);
        }
        if row.ordinal == 1 {
            let known = leaf(&store, &tenant, EntityKind::Customer, customer);
            counted.customers += u64::from(known.is_some_and(|leaf| leaf.edges.iter().next().is_some()));
        }
    }
    counted
}

struct Row<'a> {
    /// Counts the customer's orders from 1.
    ordinal: u32,
    dollars: &'a str,
}

fn rows(text: &str) -> Vec<(&str, Row<'_>)> {
    let mut orders_of: BTreeMap<&str, u32> = BTreeMap::new();
    let columns = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = |columns: Vec<_>| {
        let ordinal = orders_of.entry(columns[0]).or_default();
        *ordinal += 1;
        (columns[0], Row { ordinal: *ordinal, dollars: columns[3] })
    };
    columns.map(row).collect()
}

/// The store as the product left it.
fn store(state: &Path, partition: u32) -> Store {
    let settings = Settings::new(Rules::shipped().fold_version, 64 << 20);
    let Opened { store, rebuilt } = Opening { dir: state.join(partition.to_string()), settings }.open().unwrap();
    assert_eq!(rebuilt, None);
    store
}

fn leaf(store: &Store, tenant: &Tenant, kind: EntityKind, id: &str) -> Option<EntityLeaf> {
    let (vendor, account) = (Vendor::new("cdnow").unwrap(), Account::new("cdnow.example.com").unwrap());
    let entity = EntityKey::at_vendor(kind, &vendor, &account, id);
    let stored = store.get(&LeafKey::Entity(tenant, &entity).to_bytes()).unwrap()?;
    match Leaf::decode(&stored.bytes) {
        Some(Leaf::Entity(leaf)) => Some(Arc::unwrap_or_clone(leaf)),
        other => panic!("expected a leaf of {entity}, got {other:?}"),
    }
}
