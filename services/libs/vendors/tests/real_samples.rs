//! Samples of real deliveries, from the folder beside the checkout: each goes all
//! the way in, signed here with a secret of the test, and comes out as the facts
//! that were read in it beforehand: `real_samples.tsv`.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Received, Shop, check_slots, check_unprinted, read_json, shared, show};
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tradewind_domain::Timestamp;
use tradewind_vendors::{Delivery, Draft, Fetched, Secrets, Translation};

const REVIEWED: &str = include_str!("real_samples.tsv");

const SECRET: &str = "secret-of-this-test";

/// Stands in where a sample has no time.
const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[test]
fn samples_come_out_as_they_were_read() {
    let Some(shared) = shared() else { return };
    let mut reviewed = REVIEWED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let expected_header = "sample\tkind\tabout\toccurred_at_ms\tnames\ttotal\tlines\tmore";
    assert_eq!(reviewed.next(), Some(expected_header));
    let reviewed: Vec<Vec<&str>> = reviewed.map(|line| line.split('\t').collect()).collect();
    let mut samples: Vec<&str> = reviewed.iter().map(|row| row[0]).collect();
    samples.dedup();

    let mut differences = String::new();
    for sample in samples {
        let path = shared.join("fixtures").join(sample);
        let expected: Vec<String> =
            reviewed.iter().filter(|row| row[0] == sample).map(|row| resolved(row, &path)).collect();
        let got = rows(sample, &path);
        if got != expected {
            writeln!(differences, "{sample}\n  read: {expected:#?}\n  got:  {got:#?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A sample of the slice that nobody read is a hole in the table.
#[test]
fn every_sample_of_the_slice_was_read() {
    let Some(shared) = shared() else { return };
    let fixtures = shared.join("fixtures");
    let slice = [
        "shopify/webhooks/carts__create",
        "shopify/webhooks/carts__update",
        "shopify/webhooks/checkouts__create",
        "shopify/webhooks/checkouts__update",
        "shopify/webhooks/checkouts__delete",
        "shopify/webhooks/orders__create",
        "shopify/webhooks/orders__cancelled",
        "gorgias/webhooks/ticket-created",
        "gorgias/webhooks/ticket-updated",
        "gorgias/webhooks/ticket-message-created",
        "gorgias/webhooks/internal-note-created",
        "gorgias/webhooks_templated/agent_sms",
        "gorgias/webhooks_templated/flat_rendered",
        "gorgias/webhooks_templated/message_created",
        "gorgias/webhooks_templated/template_with_context",
        "gorgias/webhooks_templated/ticket_flat_template",
        "gorgias/api/ticket",
        "gorgias/api/message",
    ];
    for folder in slice {
        for entry in std::fs::read_dir(fixtures.join(folder)).unwrap() {
            let sample = format!("{folder}/{}", entry.unwrap().file_name().display());
            assert!(REVIEWED.lines().any(|line| line.split('\t').next() == Some(&sample)), "nobody read {sample}");
        }
    }
}

/// Topics outside the slice are refused by name, whatever their samples hold.
#[test]
fn samples_of_other_topics_are_not_in_the_catalogue() {
    let Some(shared) = shared() else { return };
    let webhooks = shared.join("fixtures/shopify/webhooks");
    let mut others = 0;
    for entry in std::fs::read_dir(&webhooks).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        if REVIEWED.contains(&format!("shopify/webhooks/{folder}/")) {
            continue;
        }
        let body = std::fs::read(webhooks.join(&folder).join("1.json")).unwrap();
        let topic = folder.replace("__", "/");
        let received = shopify(&topic, &body);
        let Received::Read(Ok(Translation::NotInCatalogue { topic: named })) = received else {
            panic!("{topic}: {received:?}");
        };
        assert_eq!(named.as_str(), topic);
        others += 1;
    }
    assert!(others > 30, "expected the other topics' samples, got {others}");
}

fn shopify(topic: &str, body: &[u8]) -> Received {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body);
    let headers = [
        ("x-shopify-topic".to_owned(), topic.to_owned()),
        ("x-shopify-shop-domain".to_owned(), "demo.myshopify.com".to_owned()),
        ("x-shopify-hmac-sha256".to_owned(), STANDARD.encode(mac.finalize().into_bytes())),
    ];
    let shop = Shop::new("shopify", "demo.myshopify.com");
    shop.receive(Delivery { received_at: RECEIVED_AT, headers: &headers, body }, &secrets())
}

/// The samples that name a helpdesk name this one.
fn helpdesk() -> Shop {
    Shop::new("gorgias", "pipedream")
}

fn gorgias_headers(trigger: Option<&str>) -> Vec<(String, String)> {
    let mut headers = vec![("x-tradewind-token".to_owned(), SECRET.to_owned())];
    headers.extend(trigger.map(|trigger| ("x-tradewind-trigger".to_owned(), trigger.to_owned())));
    headers
}

fn secrets() -> Secrets {
    Secrets::new(vec![SECRET.as_bytes().to_vec()]).unwrap()
}

fn receive(sample: &str, body: &[u8]) -> Result<Translation, String> {
    let folders: Vec<&str> = sample.split('/').collect();
    let received = match folders.as_slice() {
        ["shopify", "webhooks", topic, _] => shopify(&topic.replace("__", "/"), body),
        ["gorgias", "webhooks", trigger, _] => {
            let headers = gorgias_headers(Some(trigger));
            helpdesk().receive(Delivery { received_at: RECEIVED_AT, headers: &headers, body }, &secrets())
        }
        ["gorgias", "webhooks_templated", ..] | ["gorgias", "api", "message", _] => {
            let headers = gorgias_headers(None);
            helpdesk().receive(Delivery { received_at: RECEIVED_AT, headers: &headers, body }, &secrets())
        }
        // The answer to a fetch that a hint asked for.
        ["gorgias", "api", "ticket", _] => {
            let headers = gorgias_headers(Some("ticket-updated"));
            let hint = Delivery { received_at: RECEIVED_AT, headers: &headers, body: br#"{"ticket_id": "8801"}"# };
            Received::Read(helpdesk().receive_fetched(hint, &secrets(), Fetched { status: 200, body }))
        }
        _ => panic!("expected a sample of the slice, got {sample}"),
    };
    match received {
        Received::Refused(refusal) => Err(format!("refused {refusal}")),
        Received::Read(Ok(translation)) => Ok(translation),
        Received::Read(Err(misunderstood)) => Err(format!("misunderstood {}", misunderstood.reason)),
    }
}

/// What came out, as rows of the table without their first column.
fn rows(sample: &str, path: &Path) -> Vec<String> {
    let body = std::fs::read(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    match receive(sample, &body) {
        Ok(translation) => {
            check_slots(&translation);
            check_unprinted(&translation);
            match translation {
                Translation::Facts(drafts) => drafts.iter().map(row).collect(),
                Translation::Fetch(request) => {
                    vec![format!("fetch {} {}\t\t\t\t\t\t", request.method.as_str(), request.path)]
                }
                Translation::NotInCatalogue { topic } => vec![format!("not in catalogue {topic}\t\t\t\t\t\t")],
            }
        }
        Err(reason) => vec![format!("{reason}\t\t\t\t\t\t")],
    }
}

fn row(draft: &Draft) -> String {
    let shown = show(draft);
    let text = |name: &str| shown.get(name).map_or(String::new(), plain);
    let names: Vec<String> = shown["names"].as_array().unwrap().iter().map(plain).collect();
    let lines = shown.get("lines").map_or(String::new(), |lines| lines.as_array().unwrap().len().to_string());
    let more: Vec<String> = [
        "created_at_ms",
        "completed_at_ms",
        "number",
        "test",
        "reason",
        "change",
        "status",
        "direction",
        "message_id",
        "channel",
    ]
    .into_iter()
    .filter_map(|name| Some(format!("{name}={}", plain(shown.get(name)?))))
    .collect();
    let personal: Vec<String> = draft.personal.iter().map(|personal| personal.field.to_owned()).collect();
    [
        text("kind"),
        text("about"),
        text("occurred_at_ms"),
        names.join(" "),
        text("total"),
        lines,
        format!("{} sealed={}", more.join(" "), personal.join(",")).trim().to_owned(),
    ]
    .join("\t")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A row as it was written, where `email@/customer/email` stands for the
/// identifier of the address at that place of the sample.
fn resolved(row: &[&str], sample: &Path) -> String {
    let shop = helpdesk();
    let names = row[4].split(' ').map(|name| match name.split_once('@') {
        Some((kind, pointer)) => {
            let sample = read_json(sample);
            let value = sample.pointer(pointer).unwrap_or_else(|| panic!("expected {pointer} in the sample"));
            shop.entity(&format!("{kind}:{}", plain(value)))
        }
        None => name.to_owned(),
    });
    let names: Vec<String> = names.collect();
    let mut columns: Vec<&str> = row[1..].to_vec();
    let names = names.join(" ");
    columns[3] = &names;
    columns.join("\t")
}
