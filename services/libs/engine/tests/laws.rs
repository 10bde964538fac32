//! The laws of leaves and views (D15), and the golden state of the fold.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tradewind_domain::{
    Account, Arrival, Body, CartUpdated, CheckoutUpdated, EntityKey, EntityKind, Envelope, Fact, FactId, FactIdentity,
    IdentifierHash, Lineage, LineageKind, LineageOpened, Name, OrderCancelled, OrderPlaced, Source, Tenant,
    TicketChange, TicketStatus, TicketUpdated, Timestamp, Vendor, derive,
};
use tradewind_engine::{Budget, CustomerView, FOLD_VERSION, Partition, Rules};
use tradewind_ports::{Checkpoint, DueKey, StateStore, StoreError, Stored, Write};

/// A store that only remembers.
#[derive(Clone, Debug, Default)]
struct Remembered(Arc<Mutex<BTreeMap<Vec<u8>, Stored>>>);

impl StateStore for Remembered {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(None)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn due(&self, _: Timestamp, _: Option<&DueKey>, _: usize) -> Result<Vec<DueKey>, StoreError> {
        Ok(Vec::new())
    }

    fn write(&mut self, slice: &[Write]) -> Result<(), StoreError> {
        let mut leaves = self.0.lock().unwrap();
        for write in slice {
            match &write.value {
                Some(stored) => leaves.insert(write.key.clone(), stored.clone()),
                None => leaves.remove(&write.key),
            };
        }
        Ok(())
    }

    fn set_checkpoint(&mut self, _: &Checkpoint) -> Result<(), StoreError> {
        Ok(())
    }
}

fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

fn store(kind: EntityKind, id: u8) -> EntityKey {
    EntityKey::at_vendor(kind, &Vendor::new("shopify").unwrap(), &Account::none(), &id.to_string())
}

fn email(id: u8) -> EntityKey {
    EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([id; 16]))
}

/// What a fact says, small enough for many of them to be about the same.
#[derive(Clone, Copy, Debug)]
enum Said {
    Cart { cart: u8, version: u8 },
    Checkout { cart: u8, email: u8, version: u8 },
    Ordered { order: u8, email: u8 },
    Cancelled { order: u8 },
    Ticket { ticket: u8, email: u8, version: u8 },
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        (0_u8..4, 0_u8..5).prop_map(|(cart, version)| Said::Cart { cart, version }),
        (0_u8..4, 0_u8..4, 0_u8..5).prop_map(|(cart, email, version)| Said::Checkout { cart, email, version }),
        (0_u8..4, 0_u8..4).prop_map(|(order, email)| Said::Ordered { order, email }),
        (0_u8..4).prop_map(|order| Said::Cancelled { order }),
        (0_u8..4, 0_u8..4, 0_u8..5).prop_map(|(ticket, email, version)| Said::Ticket { ticket, email, version }),
    ]
}

/// The fact, as it was first recorded; its content follows from what is said.
fn envelope(said: Said, recorded_at: i64) -> Envelope {
    let created_at = Timestamp::from_millis(1_000);
    let (version, body) = match said {
        Said::Cart { cart, version } => {
            let cart = store(EntityKind::Cart, cart);
            let names = Vec::new();
            (
                version,
                Body::CartUpdated(CartUpdated {
                    cart,
                    digest: [version; 16],
                    created_at,
                    lines: Vec::new(),
                    total: None,
                    names,
                }),
            )
        }
        Said::Checkout { cart, email: whose, version } => {
            let checkout = CheckoutUpdated {
                checkout: store(EntityKind::Checkout, cart),
                digest: [version; 16],
                created_at,
                completed_at: None,
                lines: Vec::new(),
                total: None,
                // Of one version there is one content.
                names: vec![store(EntityKind::Cart, cart), email(if version % 2 == 0 { cart } else { whose })],
                email: None,
                phone: None,
                first_name: None,
                recovery_url: None,
                started: false,
            };
            (version.wrapping_mul(16) + whose, Body::CheckoutUpdated(checkout))
        }
        Said::Ordered { order, email: whose } => {
            let order = OrderPlaced {
                order: store(EntityKind::Order, order),
                lines: Vec::new(),
                total: None,
                names: vec![email(whose)],
                email: None,
                phone: None,
                first_name: None,
                test: false,
                number: "#1".into(),
            };
            (whose, Body::OrderPlaced(order))
        }
        Said::Cancelled { order } => {
            let cancelled =
                OrderCancelled { order: store(EntityKind::Order, order), reason: "other".into(), names: Vec::new() };
            (9, Body::OrderCancelled(cancelled))
        }
        Said::Ticket { ticket, email: whose, version } => {
            let ticket = TicketUpdated {
                ticket: store(EntityKind::Ticket, ticket),
                change: TicketChange::Updated,
                status: if version % 2 == 0 { TicketStatus::Open } else { TicketStatus::Closed },
                digest: [version; 16],
                created_at,
                channel: "email".into(),
                names: vec![email(whose)],
                subject: None,
                email: None,
            };
            (version.wrapping_mul(16) + whose, Body::TicketUpdated(ticket))
        }
    };
    let fact = Fact { occurred_at: Timestamp::from_millis(10_000 + i64::from(version)), body };
    let object = fact.body.about().map(|(object, _)| object.as_bytes().to_vec()).unwrap_or_default();
    let id = FactId::derive(&FactIdentity {
        tenant: "demo",
        vendor: "shopify",
        account: "",
        kind: fact.body.kind(),
        object: &object,
        version: &[version],
        item: b"",
    });
    enclosed(id, Vendor::new("shopify").unwrap(), recorded_at, fact)
}

fn enclosed(id: FactId, vendor: Vendor, recorded_at: i64, fact: Fact) -> Envelope {
    Envelope {
        offset: 0,
        recorded_at: Timestamp::from_millis(recorded_at),
        imported: true,
        produced_at: None,
        tenant: tenant(),
        id,
        source: Source { vendor, account: Account::none() },
        arrival: Arrival::Live,
        placement: 1,
        translation: 1,
        caused_by: None,
        fact,
    }
}

fn opened() -> Envelope {
    let opened = LineageOpened { lineage: Lineage::from_bytes([1; 16]), kind: LineageKind::Dev };
    let fact = Fact { occurred_at: Timestamp::from_millis(0), body: Body::LineageOpened(opened) };
    enclosed(FactId::from_bytes([1; 16]), Vendor::ourselves(), 0, fact)
}

fn folded(envelopes: &[Envelope], store: Remembered) -> Partition {
    let budget = Budget { cache_leaves: 1_000, slice_leaves: 100 };
    let mut partition =
        Partition::open(Arc::new(Rules::shipped()), Name::fixed("test"), Box::new(store), budget).unwrap();
    for (offset, envelope) in std::iter::once(&opened()).chain(envelopes).enumerate() {
        let stepped = partition.fold(&Envelope { offset: offset as u64, ..envelope.clone() }).unwrap();
        assert_eq!(stepped.decision, None, "no workflow is active");
        assert!(partition.fire().unwrap().is_none());
    }
    partition
}

/// The view of every customer, as anybody sees it.
fn views(envelopes: &[Envelope]) -> Vec<String> {
    let mut partition = folded(envelopes, Remembered::default());
    let tenant = tenant();
    (0..4)
        .flat_map(|id| [email(id), store(EntityKind::Cart, id), store(EntityKind::Order, id)])
        .map(|entity| {
            let customer: CustomerView = partition.view(&tenant).customer(&entity).unwrap();
            let identifiers: BTreeMap<_, _> = customer.identifiers().collect();
            let carts: BTreeMap<_, _> = customer.carts().collect();
            let checkouts: BTreeMap<_, _> = customer.checkouts().collect();
            let orders: BTreeMap<_, _> = customer.orders().collect();
            let tickets: BTreeMap<_, _> = customer.tickets().collect();
            format!("{:?}", (identifiers, carts, checkouts, orders, tickets, customer.has_parked(), customer.truncated))
        })
        .collect()
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_of_facts_gives_the_same_views(
        said in proptest::collection::vec(said(), 1..25),
        repeated in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        seed in any::<u64>(),
    ) {
        let envelopes: Vec<Envelope> = said.iter().map(|said| envelope(*said, 50_000)).collect();
        let mut shuffled = envelopes.clone();
        shuffled.extend(repeated.iter().map(|index| envelopes[index.index(envelopes.len())].clone()));
        // A shuffle that follows from the seed.
        shuffled.sort_by_cached_key(|envelope| derive("shuffle", &[&seed.to_be_bytes(), envelope.id.as_bytes()]));
        prop_assert_eq!(views(&envelopes), views(&shuffled));
    }
}

/// An address keeps its newest links only; whoever decides is told that there were more.
#[test]
fn a_customer_with_more_links_than_are_kept_is_truncated() {
    let is_truncated = |orders: u8| {
        let ordered = (0..orders).map(|order| envelope(Said::Ordered { order, email: 2 }, 50_000 + i64::from(order)));
        let mut partition = folded(&ordered.collect::<Vec<Envelope>>(), Remembered::default());
        partition.view(&tenant()).customer(&email(2)).unwrap().truncated
    };
    assert!(!is_truncated(64) && is_truncated(65));
}

/// What folding makes of a fixed list of facts. If this fails, folding has
/// changed: raise `FOLD_VERSION`, so that stores are rebuilt, and write down the
/// new hash.
#[test]
fn the_fold_of_this_version_gives_this_state() {
    let said = [
        Said::Cart { cart: 1, version: 0 },
        Said::Checkout { cart: 1, email: 2, version: 1 },
        Said::Cart { cart: 1, version: 2 },
        Said::Cart { cart: 1, version: 1 },
        Said::Ordered { order: 1, email: 2 },
        Said::Ticket { ticket: 3, email: 2, version: 0 },
        Said::Ticket { ticket: 3, email: 2, version: 1 },
        Said::Cancelled { order: 1 },
        Said::Ordered { order: 1, email: 2 },
    ];
    let envelopes: Vec<Envelope> = said.iter().zip(50_000..).map(|(said, at)| envelope(*said, at)).collect();
    let store = Remembered::default();
    let mut partition = folded(&envelopes, store.clone());
    partition.absorb();
    partition.begin_drain(0);
    while partition.drain_slice().unwrap() == tradewind_engine::Drained::Slice {}
    let leaves = store.0.lock().unwrap();
    let parts: Vec<&[u8]> = leaves.iter().flat_map(|(key, stored)| [key.as_slice(), stored.bytes.as_slice()]).collect();
    let hash: String = derive("state", &parts).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (FOLD_VERSION, leaves.len(), hash.as_str()),
        (3, 5, "b63583ecad63ea2464d12d89d65e7ca2c713ad4cb89c3ce945508003b7b165ea")
    );
}
