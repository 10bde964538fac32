//! What is turned away, and that nothing of it reaches the log.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tradewind_connector::Settings;
use tradewind_domain::{ConnectionEntry, DirectoryValue, Name};
use tradewind_ports::{EventLog as _, NewRecord, Topic};

use crate::client::{Sent, exchange, reply};
use crate::shop::{
    MAX_BODY_BYTES, SHOP_TOKEN, Setting, Shop, bounded, connection, gorgias, order, publish, shop, shopify, tenant,
    until,
};

fn shop_entry() -> ConnectionEntry {
    connection("store", "shopify", "demo.myshopify.com", SHOP_TOKEN, "shop-secret")
}

fn with_header(sent: Sent, name: &str, value: &str) -> Sent {
    let headers = sent.headers.into_iter().filter(|(known, _)| known != name);
    Sent { headers: headers.chain([(name.to_owned(), value.to_owned())]).collect(), ..sent }
}

#[tokio::test]
async fn a_token_nobody_has_is_not_found_and_its_body_not_read() {
    let shop = Shop::open().await;
    let sent = Sent { token: "5ZqJ0mC3xK8nQ1vT7rB4yW6f", ..order() };
    assert_eq!(sent.post(shop.address).await.status, 404);
    // Nothing of the body was sent, and the answer comes all the same.
    assert_eq!(exchange(shop.address, sent.head("content-length: 9000000").as_bytes()).await.status, 404);
    for path in ["/", "/v1/in/", "/v1/in", "/v1/in/a/b", "/metrics", "/readyz"] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(exchange(shop.address, request.as_bytes()).await.status, 404, "{path}");
    }
    assert!(shop.log.appends().is_empty());
}

#[tokio::test]
async fn a_wrong_signature_is_refused_without_a_word() {
    let shop = Shop::open().await;
    let unsigned = order().headers.into_iter().filter(|(name, _)| name != "x-shopify-hmac-sha256").collect();
    let forged: [(Sent, &str); 5] = [
        (Sent { headers: unsigned, ..order() }, "unsigned"),
        (Sent { body: b"{\"id\": 1}".to_vec(), ..order() }, "wrong_signature"),
        (with_header(order(), "x-shopify-hmac-sha256", "not base64"), "wrong_signature"),
        (with_header(order(), "x-shopify-shop-domain", "other.myshopify.com"), "other_account"),
        (shopify("orders/create", ""), "empty_body"),
    ];
    for (sent, reason) in forged {
        let reply = sent.post(shop.address).await;
        assert_eq!((reply.status, reply.body.as_str()), (401, ""), "{reason}");
        let counted = format!("connector_deliveries_total{{vendor=\"shopify\",answer=\"{reason}\"}}");
        assert!(shop.metrics.text().contains(&counted), "{reason}");
    }
    let stranger = with_header(gorgias("{}"), "x-tradewind-token", "guessed");
    assert_eq!(stranger.post(shop.address).await.status, 401);
    assert!(shop.log.appends().is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let shop = Shop::open().await;
    let head = order().head(&format!("content-length: {}", MAX_BODY_BYTES + 1));
    let reply = exchange(shop.address, head.as_bytes()).await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused_on_its_way() {
    let shop = Shop::open().await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(order().head("transfer-encoding: chunked").as_bytes()).await.unwrap();
    // One byte more than may be, and the end never comes.
    let chunk = format!("{:x}\r\n{}", MAX_BODY_BYTES + 1, "x".repeat(MAX_BODY_BYTES as usize + 1));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    assert_eq!(reply(stream).await.status, 413);
    assert!(shop.log.appends().is_empty());
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken() {
    let shop = Shop::open().await;
    let body = format!("{{\"id\": \"{}\"}}", "x".repeat(MAX_BODY_BYTES as usize - 10));
    assert_eq!(body.len(), MAX_BODY_BYTES as usize);
    assert_eq!(shopify("products/update", body).post(shop.address).await.status, 200);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let shop = Shop::open().await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    // The server may end the connection before all of it is written.
    let _ = stream.write_all(format!("POST / HTTP/1.1\r\nx: {}", "x".repeat(64 << 10)).as_bytes()).await;
    assert_eq!(reply(stream).await.status, 431);
}

#[tokio::test]
async fn a_connection_that_lacks_something_of_ours_is_asked_to_come_again() {
    let cases: [Vec<DirectoryValue>; 4] = [
        vec![shop()],
        vec![tenant(), DirectoryValue::Connection(ConnectionEntry { secrets: vec![], ..shop_entry() })],
        vec![
            tenant(),
            DirectoryValue::Connection(ConnectionEntry { secrets: vec![Name::fixed("elsewhere")], ..shop_entry() }),
        ],
        vec![
            tenant(),
            DirectoryValue::Connection(ConnectionEntry { vendor: crate::shop::vendor("klaviyo"), ..shop_entry() }),
        ],
    ];
    for entries in cases {
        let is_placed = entries.contains(&tenant());
        let settings = Settings { beat_every: Duration::from_millis(40), ..crate::shop::settings() };
        let shop = Shop::with(Setting { entries, settings, ..Setting::default() }).await;
        let reply = order().post(shop.address).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
        // Where it is known in whose order that belongs, something is missing until it comes again.
        until(|| {
            !is_placed || matches!(shop.facts().as_slice(), [gap] if gap.fact.body.kind() == "tradewind.gap.opened.v1")
        })
        .await;
        shop.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_comes_changes_and_goes_while_we_serve() {
    let shop = Shop::with(Setting { entries: vec![tenant()], ..Setting::default() }).await;
    let status = async || order().post(shop.address).await.status;
    let becomes = async |wanted: u16| {
        let answered = async { while status().await != wanted {} };
        bounded(answered).await;
    };
    assert_eq!(status().await, 404);
    publish(&shop.log, DirectoryValue::Connection(shop_entry()));
    becomes(200).await;
    publish(&shop.log, DirectoryValue::Connection(ConnectionEntry { active: false, ..shop_entry() }));
    becomes(404).await;
    publish(&shop.log, DirectoryValue::Connection(shop_entry()));
    becomes(200).await;
    let key = DirectoryValue::Connection(shop_entry()).key().into_bytes();
    let tombstone = NewRecord { key, ..NewRecord::default() };
    shop.log.inner.append(&Topic::Directory.partition(0), vec![tombstone]).unwrap();
    becomes(404).await;
}

#[tokio::test]
async fn a_directory_of_a_newer_release_ends_the_connector() {
    let shop = Shop::open().await;
    let newer = NewRecord {
        key: b"connection/demo/other".to_vec(),
        headers: tradewind_ports::Headers::new().with("tw-min-reader", b"2"),
        value: Some(vec![1]),
    };
    shop.log.inner.append(&Topic::Directory.partition(0), vec![newer]).unwrap();
    let error = shop.served.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("a release of reader level 2") && error.contains("at offset 3"), "{error}");
    assert!(!shop.health.is_ready());
}

#[tokio::test]
async fn only_the_door_and_the_probe_are_served() {
    let shop = Shop::open().await;
    let get = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        exchange(shop.address, request.as_bytes()).await.status
    };
    assert_eq!(get("/v1/alive").await, 204);
    assert_eq!(get(&format!("/v1/in/{SHOP_TOKEN}")).await, 405);
}
