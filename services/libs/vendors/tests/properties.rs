//! Whatever comes in, translating it ends in facts, a fetch or a reason: never in a
//! panic; and the same bytes come out the same.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Received, Shop, check_slots, read_json, top};
use hmac::{Hmac, Mac as _};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tradewind_domain::{FactId, Timestamp};
use tradewind_vendors::{Delivery, Fetched, Secrets, Translation};

const SECRET: &str = "secret-of-this-test";

const TOPICS: [&str; 8] = [
    "carts/create",
    "carts/update",
    "checkouts/create",
    "checkouts/update",
    "checkouts/delete",
    "orders/create",
    "orders/cancelled",
    "themes/publish",
];

const TRIGGERS: [&str; 5] = ["", "ticket-created", "ticket-updated", "ticket-message-created", "ticket-message-failed"];

fn secrets() -> Secrets {
    Secrets::new(vec![SECRET.as_bytes().to_vec()]).unwrap()
}

fn receive(vendor: &str, word: &str, body: &[u8], received_at: i64) -> Result<Translation, String> {
    let received_at = Timestamp::from_millis(received_at);
    let (shop, headers) = if vendor == "shopify" {
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let headers =
            vec![("x-shopify-topic".to_owned(), word.to_owned()), ("x-shopify-hmac-sha256".to_owned(), signature)];
        (Shop::new("shopify", "demo.myshopify.com"), headers)
    } else {
        let headers = vec![
            ("x-tradewind-token".to_owned(), SECRET.to_owned()),
            ("x-tradewind-trigger".to_owned(), word.to_owned()),
        ];
        (Shop::new("gorgias", "demo"), headers)
    };
    let delivery = Delivery { received_at, headers: &headers, body };
    if vendor == "gorgias" {
        // A fetch may answer anything, too.
        let again = shop.receive_fetched(delivery, &secrets(), Fetched { status: 200, body });
        if let Ok(translation) = &again {
            check_slots(translation);
        }
    }
    match shop.receive(delivery, &secrets()) {
        Received::Refused(refusal) => Err(refusal.to_string()),
        Received::Read(Ok(translation)) => {
            check_slots(&translation);
            Ok(translation)
        }
        Received::Read(Err(misunderstood)) => Err(misunderstood.to_string()),
    }
}

/// The bodies of our own cases, with the words they came under.
fn samples(vendor: &str) -> Vec<Value> {
    let folder = top().join("schemas/fixtures").join(vendor);
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let bodies = cases.iter().filter_map(|case| {
        let delivery = read_json(&case.join("delivery.json"));
        let lines: Vec<&str> = delivery["body"].as_array()?.iter().filter_map(Value::as_str).collect();
        serde_json::from_str(&lines.join("\n")).ok()
    });
    bodies.collect()
}

/// The places of all members and elements, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, child)| (name.clone(), child)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for (name, child) in children {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(place.clone());
        places(child, &place, found);
    }
}

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "None",
            "True",
            "{{ticket.id}}",
            "",
            " ",
            "-1",
            "1e400",
            "9999999999999999999999",
            "+4915112345678",
            "EUR",
            "USD",
            "ada@example.com",
            "2026-11-20T09:30:00Z",
            "2026-11-20T09:30:00",
            "0000-00-00T00:00:00Z",
            "+262143-12-31T23:59:59Z",
            "0.00125",
            "92233720368547758.08",
            "tw-ключключключключключключключключключ",
            "\u{0}",
        ])
        .prop_map(Value::from),
    ]
}

/// JSON of any shape, with the names our translators look for among its members.
fn any_json(names: Vec<String>) -> impl Strategy<Value = Value> {
    any_leaf().prop_recursive(4, 64, 8, move |inner| {
        let name = prop_oneof![4 => prop::sample::select(names.clone()), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..12)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

fn names(samples: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for sample in samples {
        places(sample, "", &mut found);
    }
    let mut names: Vec<String> = found.iter().filter_map(|place| place.rsplit('/').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn any_vendor_and_word() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        prop::sample::select(&TOPICS[..]).prop_map(|topic| ("shopify", topic)),
        prop::sample::select(&TRIGGERS[..]).prop_map(|trigger| ("gorgias", trigger)),
    ]
}

fn ids(translation: &Translation) -> Vec<FactId> {
    match translation {
        Translation::Facts(drafts) => drafts.iter().map(|draft| draft.id).collect(),
        Translation::Fetch(_) | Translation::NotInCatalogue { .. } => vec![],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_sample_never_panics_and_comes_out_the_same_twice(
        (vendor, word) in any_vendor_and_word(),
        sample in any::<prop::sample::Index>(),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_leaf())), 0..4),
    ) {
        let samples = samples(vendor);
        let mut body = samples[sample.index(samples.len())].clone();
        for (place, value) in spoils {
            let mut found = Vec::new();
            places(&body, "", &mut found);
            if found.is_empty() { continue }
            let place = &found[place.index(found.len())];
            let (parent, name) = place.rsplit_once('/').unwrap();
            match (value, body.pointer_mut(parent)) {
                (Some(value), _) => *body.pointer_mut(place).unwrap() = value,
                (None, Some(Value::Object(members))) => { members.remove(name); }
                (None, _) => *body.pointer_mut(place).unwrap() = Value::Null,
            }
        }
        let body = serde_json::to_vec(&body).unwrap();
        let once = receive(vendor, word, &body, 1_000);
        prop_assert_eq!(&once, &receive(vendor, word, &body, 1_000));
        // When it arrived is no part of what it is: a delivery sent again is the same fact.
        if let (Ok(once), Ok(later)) = (once, receive(vendor, word, &body, 2_000)) {
            prop_assert_eq!(ids(&once), ids(&later));
        }
    }

    #[test]
    fn any_json_is_read_or_refused((vendor, word) in any_vendor_and_word(), seed in any::<prop::sample::Index>(), json in {
        let mut vocabulary = names(&samples("shopify"));
        vocabulary.extend(names(&samples("gorgias")));
        any_json(vocabulary)
    }) {
        let mut body = serde_json::to_vec(&json).unwrap();
        let _ = receive(vendor, word, &body, 0);
        let cut = seed.index(body.len());
        body[cut] ^= 0x55;
        let _ = receive(vendor, word, &body, 0);
        body.truncate(cut);
        let _ = receive(vendor, word, &body, 0);
    }

    #[test]
    fn two_edits_of_one_second_are_two_facts(first in 1..1_000_i64, second in 1..1_000_i64) {
        let cart = |quantity: i64| {
            let line = json!({"id": 1, "quantity": quantity, "title": "Mug"});
            let cart = json!({"token": "c1", "line_items": [line], "updated_at": "2026-11-20T09:30:00Z"});
            ids(&receive("shopify", "carts/update", &serde_json::to_vec(&cart).unwrap(), 0).unwrap())
        };
        prop_assert_eq!(cart(first) == cart(second), first == second);
    }
}

#[test]
fn an_order_is_placed_once_and_a_ticket_opened_once() {
    let order = |updated: &str| {
        let order = json!({"id": 7, "order_number": 1, "created_at": "2026-11-20T09:30:00Z", "note": updated});
        ids(&receive("shopify", "orders/create", &serde_json::to_vec(&order).unwrap(), 0).unwrap())
    };
    assert_eq!(order("a"), order("b"));
    let ticket = |subject: &str, updated: &str| {
        let ticket = json!({
            "id": 7, "status": "open", "subject": subject,
            "created_datetime": "2026-11-20T09:30:00", "updated_datetime": updated,
        });
        ids(&receive("gorgias", "ticket-created", &serde_json::to_vec(&ticket).unwrap(), 0).unwrap())
    };
    assert_eq!(ticket("a", "2026-11-20T09:30:00"), ticket("b", "2026-11-20T09:35:00"));
}

#[test]
fn a_customer_with_a_thousand_addresses_names_a_few() {
    let channels: Vec<Value> =
        (0..1_000).map(|n| json!({"type": "email", "address": format!("ada{n}@example.com")})).collect();
    let ticket = json!({
        "id": 7, "status": "open", "customer": {"id": 1, "channels": channels},
        "created_datetime": "2026-11-20T09:30:00", "updated_datetime": "2026-11-20T10:30:00",
    });
    let translation = receive("gorgias", "ticket-updated", &serde_json::to_vec(&ticket).unwrap(), 0).unwrap();
    let Translation::Facts(drafts) = translation else { panic!("expected facts") };
    assert_eq!(drafts[0].fact.body.about().unwrap().1.len(), 32);
}

/// They come to stand in a command and its decision, and a record that is too large stops a whole partition.
#[test]
fn texts_of_any_length_come_out_bounded() {
    let endless = "ü".repeat(200_000);
    let checkout = json!({
        "id": 1, "token": "t1", "cart_token": "c1", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "currency": "EUR", "total_price": "1.00",
        "email": format!("{endless}@example.com"), "abandoned_checkout_url": format!("https://example.com/{endless}"),
        "customer": {"id": 7, "first_name": endless},
        "line_items": [{"key": "l1", "title": endless, "sku": endless, "quantity": 1, "price": "1.00"}],
    });
    let translated = receive("shopify", "checkouts/update", checkout.to_string().as_bytes(), 0).unwrap();
    let Translation::Facts(drafts) = translated else { panic!("expected a fact, got {translated:?}") };
    let tradewind_domain::Body::CheckoutUpdated(checkout) = &drafts[0].fact.body else { panic!("expected a checkout") };
    assert_eq!((checkout.lines[0].title.len(), &*checkout.lines[0].sku), (512, ""));
    assert!(drafts[0].personal.is_empty(), "a name, an address or a link was taken: {:?}", drafts[0].personal);
}
