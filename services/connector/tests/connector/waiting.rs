//! The log and the vault, when they don't do as asked: never a 2xx before a
//! delivery is durable.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tradewind_connector::Settings;
use tradewind_domain::{Body, ConnectionName, Envelope, FactId, GapOpened};
use tradewind_ports::{LogError, Topic};

use crate::client::{Reply, Sent, reply};
use crate::log::Gate;
use crate::shop::{NOW, PLACEMENT, Setting, Shop, bounded, demo, order, order_of, sample, shopify, until, vendor};

fn soon() -> Setting {
    let settings = Settings { answer_within: Duration::from_millis(200), ..crate::shop::settings() };
    Setting { settings, ..Setting::default() }
}

/// The other tests give an answer less time, or more.
#[test]
fn a_vendor_is_promised_an_answer_within_three_seconds() {
    assert!(Settings::default().answer_within < Duration::from_secs(3));
}

fn is_come_again(reply: &Reply) -> bool {
    reply.status == 503 && reply.header("retry-after") == Some("2")
}

#[tokio::test]
async fn nobody_is_answered_before_the_log_has_it() {
    let shop = Shop::open().await;
    shop.log.set(Gate::Shut);
    let address = shop.address;
    let delivered = tokio::spawn(async move { order().post(address).await });
    until(|| !shop.log.appends().is_empty()).await;
    assert!(!delivered.is_finished());
    shop.log.set(Gate::Open);
    assert_eq!(delivered.await.unwrap().status, 200);
    assert_eq!(shop.facts().len(), 1);
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_503_in_time_and_heals() {
    let shop = Shop::with(soon()).await;
    shop.log.set(Gate::Shut);
    for number in 0..3 {
        assert!(is_come_again(&order_of(number).post(shop.address).await));
    }
    assert_eq!(shop.facts(), []);
    assert!(shop.counted("connector_deliveries_total{vendor=\"shopify\",answer=\"silent\"} 3"));
    assert!(shop.counted("connector_outage{} 1"));
    shop.log.set(Gate::Open);
    let healed = async { while order_of(3).post(shop.address).await.status != 200 {} };
    bounded(healed).await;
    until(|| shop.counted("connector_queued_deliveries{} 0")).await;
    // The first was under way. Those behind it were given up, since they come again.
    let orders = shop.facts().into_iter().filter(|fact| matches!(fact.fact.body, Body::OrderPlaced(_)));
    let ids: BTreeSet<FactId> = orders.map(|fact| fact.id).collect();
    assert!(ids.len() <= 2, "{ids:?}");
}

#[tokio::test]
async fn a_log_that_fails_is_503_whatever_it_says() {
    let shop = Shop::open().await;
    assert!(shop.counted("connector_outage{} 0"));
    for error in [
        LogError::Unavailable { reason: "no leader".into() },
        LogError::Indefinite { reason: "the connection broke".into() },
        LogError::Damaged { at: "here".into(), remedy: "restore it".into() },
    ] {
        shop.log.set(Gate::Fails(error.clone()));
        assert!(is_come_again(&order().post(shop.address).await), "{error}");
        assert!(shop.counted("connector_outage{} 1"));
    }
    shop.log.set(Gate::Open);
    assert_eq!(order().post(shop.address).await.status, 200);
}

/// Whose deliveries were turned away, as the log has it.
fn gaps(shop: &Shop) -> Vec<GapOpened> {
    let gap = |envelope: Envelope| {
        let Body::GapOpened(opened) = envelope.fact.body else { return None };
        assert_eq!((envelope.tenant, envelope.placement), (demo(), PLACEMENT));
        Some(opened)
    };
    shop.facts().into_iter().filter_map(gap).collect()
}

#[tokio::test]
async fn what_was_turned_away_is_a_gap_once_the_log_takes_it() {
    let settings = Settings { beat_every: Duration::from_millis(40), ..crate::shop::settings() };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    assert_eq!(order_of(1).post(shop.address).await.status, 200);
    shop.log.set(Gate::Fails(LogError::Unavailable { reason: "no leader".into() }));
    for number in 2..5 {
        assert!(is_come_again(&order_of(number).post(shop.address).await));
    }
    let tried = shop.log.appends().len();
    until(|| shop.log.appends().len() >= tried + 2).await;
    assert_eq!(gaps(&shop), []);
    shop.log.set(Gate::Open);
    until(|| !gaps(&shop).is_empty()).await;
    // One fact stands for all that the connection could not deliver, and nobody else is named.
    assert!(is_come_again(&{
        shop.log.set(Gate::Fails(LogError::Unavailable { reason: "no leader".into() }));
        order_of(5).post(shop.address).await
    }));
    shop.log.set(Gate::Open);
    until(|| gaps(&shop).len() >= 2).await;
    let store =
        GapOpened { vendor: vendor("shopify"), connection: Some(ConnectionName::new("store").unwrap()), from: NOW };
    assert_eq!(gaps(&shop), [store.clone(), store]);
}

#[tokio::test]
async fn requests_that_wait_share_one_append() {
    const DELIVERIES: u32 = 20;
    let shop = Shop::open().await;
    shop.log.set(Gate::Shut);
    let address = shop.address;
    let post = |number| tokio::spawn(async move { order_of(number).post(address).await.status });
    let first = post(0);
    until(|| !shop.log.appends().is_empty()).await;
    let rest: Vec<_> = (1..DELIVERIES).map(post).collect();
    until(|| shop.counted(&format!("connector_queued_deliveries{{}} {DELIVERIES}"))).await;
    shop.log.set(Gate::Open);
    assert_eq!(first.await.unwrap(), 200);
    for delivered in rest {
        assert_eq!(delivered.await.unwrap(), 200);
    }
    assert_eq!(shop.facts().len(), DELIVERIES as usize);
    let of = |wanted: &Topic| shop.log.appends().iter().filter(|(topic, _)| topic == wanted).count();
    assert!(of(&Topic::Events) < DELIVERIES as usize / 2, "{:?}", shop.log.appends());
}

#[tokio::test]
async fn what_can_not_be_stored_does_not_hold_up_its_neighbours() {
    let shop = Shop::open().await;
    shop.log.set(Gate::Shut);
    let address = shop.address;
    let post = |sent: Sent| tokio::spawn(async move { sent.post(address).await.status });
    let first = post(order_of(0));
    until(|| !shop.log.appends().is_empty()).await;
    let refused = "cafe0123456789abcdef0123456789ab";
    let cart = sample("shopify/cart_updated").replace("c1d2e3f405162738495a6b7c8d9e0f10", refused);
    let (good, bad) = (post(order_of(1)), post(shopify("carts/update", cart)));
    until(|| shop.counted("connector_queued_deliveries{} 3")).await;
    // The cart's token stands in its fact in clear.
    shop.log.set(Gate::Refuses(refused.into()));
    assert_eq!([first.await.unwrap(), good.await.unwrap(), bad.await.unwrap()], [200, 200, 413]);
    assert_eq!(shop.facts().len(), 2);
}

#[tokio::test]
async fn more_than_there_is_room_for_is_turned_away_at_once() {
    let settings = Settings { memory_bytes: 16 << 10, ..crate::shop::settings() };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    shop.log.set(Gate::Shut);
    let address = shop.address;
    let waiting: Vec<_> =
        (0..2).map(|number| tokio::spawn(async move { order_of(number).post(address).await })).collect();
    until(|| !shop.log.appends().is_empty()).await;
    // A body of unknown length counts as the largest there may be.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(order().head("transfer-encoding: chunked").as_bytes()).await.unwrap();
    assert!(is_come_again(&reply(stream).await));
    assert!(shop.counted("connector_deliveries_total{vendor=\"shopify\",answer=\"overloaded\"} 1"));
    shop.log.set(Gate::Open);
    for waited in waiting {
        assert_eq!(waited.await.unwrap().status, 200);
    }
    assert_eq!(order().post(address).await.status, 200);
}

#[tokio::test]
async fn a_client_that_sends_no_body_is_not_waited_for() {
    let settings = Settings { request_within: Duration::from_millis(100), ..crate::shop::settings() };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(order().head("content-length: 100").as_bytes()).await.unwrap();
    assert_eq!(reply(stream).await.status, 408);
}
