//! What the vendors send is what our translators understand: every delivery of a
//! busy run is genuine, and none is a dead letter.

#![forbid(unsafe_code)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Received, Receiver, STARTED_AT_MS, request};
use tradewind_domain::{Account, ConnectionName, Pepper, Tenant, Timestamp, Vendor};
use tradewind_sandbox::{DeliveryState, DeskFaults, DeskSettings, Sandbox, SandboxSettings, ShopFaults, ShopSettings};
use tradewind_vendors::{Connection, Delivery, Draft, Fetched, Secrets, Translation, find};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivery_is_genuine_and_understood() {
    let (shop_end, desk_end) = (Receiver::start(|_| 200).await, Receiver::start(|_| 200).await);
    let shop = ShopSettings {
        old_secret: Some("older-test-secret".into()),
        faults: ShopFaults::some(),
        ..ShopSettings::new(&shop_end.address, "demo.myshopify.com", "newer-test-secret".into())
    };
    let desk = DeskSettings {
        tickets: 400,
        faults: DeskFaults { unavailable: 0, ..DeskFaults::some() },
        ..DeskSettings::new(&desk_end.address, "demo", "desk-test-token".into(), "agent@example.com:key".into())
    };
    let settings = SandboxSettings {
        speed: 100_000,
        visits_max: Some(200),
        shop: Some(shop),
        desk: Some(desk),
        ..SandboxSettings::new(7, STARTED_AT_MS, "pk_sandbox".into())
    };
    let mut sandbox = Sandbox::start(settings).await.expect("started");
    sandbox.finished().await;

    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut facts = BTreeSet::new();
    let secrets = [b"newer-test-secret".to_vec(), b"older-test-secret".to_vec()];
    for received in shop_end.received() {
        let Translation::Facts(drafts) = translated("shopify", "demo.myshopify.com", &secrets, &received, None) else {
            panic!("expected facts of {received:?}");
        };
        count(drafts, &mut kinds, &mut facts);
    }
    let mut hints = 0;
    for received in desk_end.received() {
        let secrets = [b"desk-test-token".to_vec()];
        match translated("gorgias", "demo", &secrets, &received, None) {
            Translation::Facts(drafts) => count(drafts, &mut kinds, &mut facts),
            Translation::Fetch(fetch) => {
                hints += 1;
                let address = sandbox.addresses().desk.expect("a helpdesk");
                let login = [("authorization", "Basic YWdlbnRAZXhhbXBsZS5jb206a2V5")];
                let ticket = loop {
                    let response = request(address, "GET", &fetch.path, &login, b"").await.expect("answered");
                    // Over the limit: the bucket runs out in the sandbox's time, which is fast.
                    if response.status != 429 {
                        break response;
                    }
                };
                let fetched = Fetched { status: ticket.status, body: ticket.body.as_bytes() };
                let answer = translated("gorgias", "demo", &secrets, &received, Some(fetched));
                let Translation::Facts(drafts) = answer else { panic!("expected facts of {ticket:?}") };
                count(drafts, &mut kinds, &mut facts);
            }
            Translation::NotInCatalogue { topic } => panic!("expected a known trigger, got {topic}"),
        }
    }
    assert!(hints > 10, "{hints} hints");
    for kind in [
        "commerce.cart.updated.v1",
        "commerce.checkout.started.v1",
        "commerce.checkout.updated.v1",
        "commerce.order.placed.v1",
        "commerce.order.cancelled.v1",
        "commerce.ticket.opened.v1",
        "commerce.ticket.closed.v1",
        "commerce.ticket.message_received.v1",
        "commerce.ticket.message_sent.v1",
    ] {
        assert!(kinds.contains_key(kind), "no {kind} among {kinds:?}");
    }

    // Each happening at the shop is a fact of its own, however often it is delivered.
    let deliveries = sandbox.deliveries();
    assert!(deliveries.iter().all(|delivery| delivery.state == DeliveryState::Accepted));
    let of_the_shop = facts.iter().filter(|(kind, _)| !kind.contains("ticket")).count();
    let status = sandbox.status();
    assert_eq!(of_the_shop as u64, status.shop.deliveries);
    assert_eq!(status.shop.accepted, status.shop.deliveries + status.shop.copies);
    assert_eq!((status.tickets_open, status.shop.waiting, status.desk.waiting), (0, 0, 0));
    sandbox.stop().await;
}

fn count(drafts: Vec<Draft>, kinds: &mut BTreeMap<&'static str, usize>, facts: &mut BTreeSet<(&'static str, String)>) {
    for draft in drafts {
        *kinds.entry(draft.fact.body.kind()).or_default() += 1;
        facts.insert((draft.fact.body.kind(), draft.id.to_string()));
    }
}

fn translated(
    vendor: &str,
    account: &str,
    secrets: &[Vec<u8>],
    received: &Received,
    fetched: Option<Fetched<'_>>,
) -> Translation {
    let vendor = Vendor::new(vendor).expect("a vendor");
    let account = Account::new(account).expect("an account");
    let inbound = find(&vendor).expect("on the roster").inbound.expect("a vendor that tells us things");
    let (tenant, name) = (Tenant::new("demo").expect("a tenant"), ConnectionName::new("store").expect("a name"));
    let pepper = Pepper::new(b"0123456789abcdef0123456789abcdef".to_vec()).expect("a pepper");
    let connection =
        Connection { tenant: &tenant, vendor: &vendor, account: &account, connection: &name, pepper: &pepper };
    let received_at = Timestamp::from_millis(STARTED_AT_MS);
    let delivery = Delivery { received_at, headers: &received.headers, body: &received.body };
    let secrets = Secrets::new(secrets.to_vec()).expect("secrets");
    let verified = (inbound.verify)(delivery, &account, &secrets).expect("a genuine delivery");
    let translation = match fetched {
        None => (inbound.translate)(&verified, &connection),
        Some(fetched) => (inbound.translate_fetched.expect("a vendor with hints"))(&verified, fetched, &connection),
    };
    translation.unwrap_or_else(|misunderstood| panic!("{misunderstood}: {received:?}"))
}
