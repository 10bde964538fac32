//! What is accepted: facts on the log, sealed, under ids of their own.

use tradewind_domain::{Arrival, Body, KeyId, Sealed, key_owner_digest};
use tradewind_ports::{KeyVault as _, Topic};
use tradewind_wire::{delivery, seal};

use std::sync::Arc;

use tradewind_connector::FetchAnswer;

use crate::shop::{
    EMAIL, FIRST_NAME, NOW, PARTITION, PLACEMENT, Setting, Shop, demo, fetched, gorgias, order, sample, shopify, vendor,
};

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn opened(shop: &Shop, sealed: &Sealed) -> String {
    let key = shop.vault.key(sealed.key_id).unwrap().unwrap();
    String::from_utf8(seal::open(&key, sealed).unwrap()).unwrap()
}

#[tokio::test]
async fn an_order_becomes_a_fact_in_its_tenants_partition() {
    let shop = Shop::open().await;
    let reply = order().post(shop.address).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let [fact] = &shop.facts()[..] else { panic!("expected one fact, got {:?}", shop.facts()) };
    assert_eq!((fact.tenant.as_str(), fact.source.vendor.as_str()), ("demo", "shopify"));
    assert_eq!((fact.placement, fact.translation, fact.arrival), (PLACEMENT, 1, Arrival::Live));
    assert_eq!(fact.produced_at, Some(NOW));
    let Body::OrderPlaced(placed) = &fact.fact.body else { panic!("expected an order, got {:?}", fact.fact.body) };
    assert_eq!(opened(&shop, placed.email.as_ref().unwrap()), EMAIL);
    assert_eq!(opened(&shop, placed.first_name.as_ref().unwrap()), FIRST_NAME);
    let owner = key_owner_digest(&demo(), fact.fact.body.key_owner().unwrap());
    let key = shop.vault.key_of(&demo(), &owner).unwrap();
    assert_eq!(placed.email.as_ref().map(|sealed| sealed.key_id), Some(key.id));
    assert!(shop.counted("connector_deliveries_total{vendor=\"shopify\",answer=\"accepted\"} 1"));
    assert!(shop.counted("connector_facts_total{vendor=\"shopify\"} 1"));
}

#[tokio::test]
async fn a_fact_names_its_delivery_which_is_kept_sealed_whole() {
    let shop = Shop::open().await;
    let sent = order();
    sent.post(shop.address).await;
    let [raw] = &shop.records(Topic::Raw(vendor("shopify")))[..] else { panic!("expected one delivery") };
    let [event] = &shop.records(Topic::Events)[..] else { panic!("expected one fact") };
    assert_eq!(
        event.headers.text("tw-raw"),
        Some(format!("tradewind.raw.shopify/{PARTITION}/{}", raw.offset).as_str())
    );
    let kept = delivery::decode_raw(raw).unwrap();
    assert_eq!((kept.connection.as_str(), kept.received_at), ("store", NOW));
    assert_eq!(opened(&shop, &kept.body).as_bytes(), sent.body);
    let names: Vec<&str> = kept.headers.iter().map(|header| &*header.name).collect();
    assert_eq!(names, ["x-shopify-topic", "x-shopify-shop-domain", "x-shopify-webhook-id"]);
    // Erasing the customer makes the delivery unreadable with the fact.
    let Body::OrderPlaced(placed) = &shop.facts()[0].fact.body else { panic!("expected an order") };
    assert_eq!(kept.body.key_id, placed.email.as_ref().unwrap().key_id);
}

#[tokio::test]
async fn nothing_personal_stands_in_clear_on_any_topic() {
    let shop = Shop::open().await;
    let dead = format!("{{\"id\": \"not an order\", \"email\": \"{EMAIL}\"}}");
    for sent in [
        order(),
        shopify("checkouts/create", sample("shopify/checkout_started")),
        gorgias(sample("gorgias/message_received")),
        shopify("products/update", format!("{{\"vendor\": \"{EMAIL}\"}}")),
        shopify("orders/create", dead),
    ] {
        assert_eq!(sent.post(shop.address).await.status, 200);
    }
    assert_eq!(shop.facts().len(), 3);
    let bytes = shop.bytes();
    assert!(contains(&bytes, "demo.myshopify.com"));
    for personal in [EMAIL, FIRST_NAME, "4915112345678", "Where is my order", "nobody keeps this header"] {
        assert!(!contains(&bytes, personal), "{personal}");
    }
}

#[tokio::test]
async fn the_same_delivery_twice_is_the_same_fact() {
    let shop = Shop::open().await;
    for _ in 0..2 {
        assert_eq!(order().post(shop.address).await.status, 200);
    }
    let values: Vec<_> = shop.records(Topic::Events).into_iter().map(|event| event.value).collect();
    let [first, second] = &shop.facts()[..] else { panic!("expected two records of one fact") };
    assert_eq!(first.id, second.id);
    assert_eq!(values[0], values[1]);
}

#[tokio::test]
async fn what_is_not_in_the_catalogue_is_kept_and_counted() {
    let shop = Shop::open().await;
    assert_eq!(shopify("products/update", "{\"id\": 1}").post(shop.address).await.status, 200);
    assert_eq!(shop.facts(), []);
    assert_eq!(shop.records(Topic::Raw(vendor("shopify"))).len(), 1);
    assert!(shop.counted("connector_deliveries_total{vendor=\"shopify\",answer=\"not_in_catalogue\"} 1"));
}

#[tokio::test]
async fn what_is_not_understood_is_a_dead_letter_with_its_reason() {
    let shop = Shop::open().await;
    let sent = shopify("orders/create", format!("{{\"email\": \"{EMAIL}\"}}"));
    assert_eq!(sent.post(shop.address).await.status, 200);
    let [record] = &shop.records(Topic::DeadLetter)[..] else { panic!("expected one dead letter") };
    let letter = delivery::decode_dead_letter(record).unwrap();
    assert_eq!((letter.reason.as_str(), letter.translation), ("another_shape", 1));
    assert_eq!(opened(&shop, &letter.delivery.body).as_bytes(), sent.body);
    assert_eq!(letter.delivery.headers[0].value.as_ref(), "orders/create");
    assert_eq!((shop.facts(), shop.records(Topic::Raw(vendor("shopify")))), (vec![], vec![]));
    assert!(shop.counted("connector_deliveries_total{vendor=\"shopify\",answer=\"dead_lettered\"} 1"));
}

#[tokio::test]
async fn a_hint_is_fetched_before_it_is_acknowledged() {
    let ticket = fetched("gorgias/hint_of_a_ticket");
    let fetch: tradewind_connector::Fetch = Arc::new(move |call| {
        assert_eq!((call.account.as_str(), call.request.path.as_str()), ("demo", "/api/tickets/8801"));
        let body = ticket.clone().into_bytes();
        Box::pin(async move { Ok(FetchAnswer { status: 200, body }) })
    });
    let shop = Shop::with(Setting { fetch: Some(fetch), ..Setting::default() }).await;
    let hint = gorgias(sample("gorgias/hint_of_a_ticket"));
    assert_eq!(hint.post(shop.address).await.status, 200);
    assert!(shop.facts().iter().any(|fact| matches!(fact.fact.body, Body::TicketUpdated(_))));
    assert_eq!(shop.records(Topic::Raw(vendor("gorgias"))).len(), 1);
}

#[tokio::test]
async fn a_hint_that_the_vendor_can_not_answer_now_comes_again() {
    let fetch: tradewind_connector::Fetch =
        Arc::new(|_| Box::pin(async { Ok(FetchAnswer { status: 503, body: Vec::new() }) }));
    let shop = Shop::with(Setting { fetch: Some(fetch), ..Setting::default() }).await;
    let reply = gorgias(sample("gorgias/hint_of_a_ticket")).post(shop.address).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    assert_eq!(shop.records(Topic::DeadLetter), []);
}

#[tokio::test]
async fn a_hint_that_nobody_may_ask_about_is_a_dead_letter() {
    let shop = Shop::open().await;
    assert_eq!(gorgias(sample("gorgias/hint_of_a_ticket")).post(shop.address).await.status, 200);
    let [record] = &shop.records(Topic::DeadLetter)[..] else { panic!("expected one dead letter") };
    assert_eq!(delivery::decode_dead_letter(record).unwrap().reason.as_str(), "not_fetched");
}

#[tokio::test]
async fn a_cart_of_nobody_needs_no_key_of_its_own() {
    let shop = Shop::open().await;
    let mut keys: Vec<KeyId> = Vec::new();
    for token in ["c1d2e3f405162738495a6b7c8d9e0f10", "c1d2e3f405162738495a6b7c8d9e0f11"] {
        let cart = sample("shopify/cart_updated").replace("c1d2e3f405162738495a6b7c8d9e0f10", token);
        assert_eq!(shopify("carts/update", cart).post(shop.address).await.status, 200);
    }
    for raw in shop.records(Topic::Raw(vendor("shopify"))) {
        keys.push(delivery::decode_raw(&raw).unwrap().body.key_id);
    }
    assert_eq!((shop.facts().len(), keys.len()), (2, 2));
    assert_eq!(keys[0], keys[1]);
}
