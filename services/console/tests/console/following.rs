use tradewind_console::Settings;
use tradewind_ports::{EventLog as _, Topic};
use tradewind_simulation::START;
use tradewind_wire::record;

use crate::client::{Follower, bounded, get, until};
use crate::shop::{Shop, cart, settings};

/// Without the head, and the sizes of the chunks it came in.
fn body(read: &str) -> String {
    let (_, body) = read.split_once("\r\n\r\n").expect("a head");
    let is_size = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    body.split("\r\n").filter(|line| !is_size(line)).collect()
}

/// The data of the first event of this kind.
fn data(read: &str, event: &str) -> serde_json::Value {
    let body = body(read);
    let (_, after) = body.split_once(&format!("event: {event}\ndata: ")).expect("such an event");
    serde_json::from_str(after.split_once("\n\n").expect("a whole event").0).expect("JSON")
}

async fn snapshot(shop: &Shop) -> serde_json::Value {
    let mut follower = Follower::open(shop.address, &[]).await;
    follower.until("event: update").await;
    data(&follower.read, "snapshot")
}

#[tokio::test]
async fn a_page_gets_what_there_is_and_then_what_comes() {
    let shop = Shop::open().await;
    let mut follower = Follower::open(shop.address, &[]).await;
    follower.until("event: update").await;
    assert!(follower.read.contains("content-type: text/event-stream\r\n"));
    let snapshot = data(&follower.read, "snapshot");
    assert_eq!(snapshot["commands"].as_array().unwrap().len(), shop.reading.commands.len());
    assert_eq!(snapshot["decisions"].as_array().unwrap().len(), shop.reading.decisions.len());
    let new = cart(START + 1);
    shop.append(&new);
    follower.until(&new.id.to_string()).await;
    assert!(shop.counted("console_live_clients{} 1"));
}

#[tokio::test]
async fn beats_and_ticks_are_counted_and_never_shown() {
    let shop = Shop::open().await;
    let snapshot = snapshot(&shop).await;
    let facts = snapshot["facts"].as_array().unwrap();
    let kinds: Vec<&str> = facts.iter().map(|fact| fact["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"commerce.cart.updated.v1"), "{kinds:?}");
    assert!(!kinds.contains(&"tradewind.tick.v1") && !kinds.contains(&"tradewind.ingest.alive.v1"), "{kinds:?}");
    assert!(snapshot["status"]["counts"]["beats"].as_u64() > Some(100));
}

#[tokio::test]
async fn only_the_newest_are_kept() {
    let shop = Shop::with(Settings { newest: 3, ..settings() }, false).await;
    let snapshot = snapshot(&shop).await;
    for lane in ["facts", "decisions", "commands", "outcomes"] {
        assert_eq!(snapshot[lane].as_array().unwrap().len(), 3, "{lane}");
    }
    let newest = shop.reading.decisions.last().unwrap().value.id.to_string();
    assert_eq!(snapshot["decisions"][2]["id"], newest);
}

#[tokio::test]
async fn only_so_many_pages_follow_and_a_closed_one_makes_room() {
    let shop = Shop::with(Settings { live_clients: 1, ..settings() }, false).await;
    let mut follower = Follower::open(shop.address, &[]).await;
    follower.until("event: snapshot").await;
    let refused = get(shop.address, "/api/live").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    drop(follower);
    until(|| shop.counted("console_live_clients{} 0")).await;
    Follower::open(shop.address, &[]).await.until("event: snapshot").await;
}

#[tokio::test]
async fn asked_to_stop_it_ends_streams_and_returns() {
    let shop = Shop::open().await;
    let mut follower = Follower::open(shop.address, &[]).await;
    follower.until("event: snapshot").await;
    shop.shutdown.request();
    let read = follower.into_the_rest().await;
    assert!(read.contains("event: bye\nretry: 2000\ndata: {\"reason\":\"stopping\"}"), "it says why");
    bounded(shop.served).await.unwrap().unwrap();
}

/// It has read nothing, so its stream can't end; the console does not wait for it.
#[tokio::test]
async fn a_page_that_reads_nothing_keeps_nobody_from_stopping() {
    let patient = std::time::Duration::from_millis(100);
    let shop = Shop::with(Settings { stop_within: patient, ..settings() }, false).await;
    let unread = Follower::open(shop.address, &[]).await;
    until(|| shop.counted("console_live_clients{} 1")).await;
    shop.shutdown.request();
    bounded(shop.served).await.unwrap().unwrap();
    drop(unread);
}

#[tokio::test]
async fn a_damaged_record_is_named_and_nothing_behind_it_is_shown() {
    let shop = Shop::open().await;
    let mut follower = Follower::open(shop.address, &[]).await;
    let mut broken = record::event(&cart(START + 2));
    broken.value = Some(vec![0xff; 9]);
    let offsets = shop.log().append(&Topic::Events.partition(0), vec![broken]).unwrap();
    let behind = cart(START + 3);
    shop.append(&behind);
    follower.until(&format!("read tradewind.events[0] at offset {}", offsets[0])).await;
    assert!(!follower.read.contains(&behind.id.to_string()));
    assert!(!shop.health.is_ready());
}
