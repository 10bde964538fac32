//! Every case of `schemas/fixtures`: deliveries become facts, commands become
//! requests and answers verdicts. A new case is a folder, no code. Ids, digests
//! and signatures in them were computed outside this code.

mod common;

use std::path::{Path, PathBuf};

use common::{Received, Shop, check_slots, check_unprinted, read_json, show, top};
use serde_json::{Value, json};
use tradewind_domain::{
    Account, Change, Command, CommandBody, CommandClass, CommandId, ConnectionName, DecisionId, EntityKey, EntityKind,
    InstanceId, MessageLine, MessageSend, Money, Name, Tenant, Timestamp, Vendor,
};
use tradewind_vendors::{
    Answer, Answered, Delivery, Effect, Fetched, Misunderstood, Next, OpenCommand, ROSTER, Secrets, Translation, find,
};

#[test]
fn every_fixture_comes_out_as_written() {
    let cases = cases();
    for case in &cases {
        if case.join("delivery.json").exists() {
            check_delivery(case);
        } else {
            check_command(case);
        }
    }
    for integration in ROSTER {
        let folder = format!("fixtures/{}/", integration.vendor);
        assert!(
            cases.iter().any(|case| case.display().to_string().contains(&folder)),
            "no case of {}",
            integration.vendor
        );
    }
}

fn cases() -> Vec<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    };
    let mut cases: Vec<PathBuf> =
        folders(&top().join("schemas/fixtures")).iter().flat_map(|vendor| folders(vendor)).collect();
    cases.sort();
    cases
}

fn vendor_of(case: &Path) -> &str {
    case.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a vendor's folder")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected text, got {value}"))
}

/// A body is written as its lines.
fn body(value: &Value) -> Vec<u8> {
    let lines: Vec<&str> = value.as_array().expect("the lines of a body").iter().map(text).collect();
    lines.join("\n").into_bytes()
}

fn headers(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().expect("pairs of name and value");
    pairs.iter().map(|pair| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned())).collect()
}

fn check_delivery(case: &Path) {
    let given = read_json(&case.join("delivery.json"));
    let expected = read_json(&case.join("facts.json"));
    let shop = Shop::new(vendor_of(case), text(&given["account"]));
    let secrets: Vec<Vec<u8>> =
        given["secrets"].as_array().unwrap().iter().map(|secret| text(secret).as_bytes().to_vec()).collect();
    let secrets = Secrets::new(secrets).expect("secrets");
    let (headers, body_bytes) = (headers(&given["headers"]), body(&given["body"]));
    let delivery = Delivery {
        received_at: Timestamp::from_millis(given["received_at_ms"].as_i64().unwrap()),
        headers: &headers,
        body: &body_bytes,
    };

    let received = shop.receive(delivery, &secrets);
    assert_eq!(received, shop.receive(delivery, &secrets), "{}: sent twice", case.display());
    let mut outcome = json!({});
    match received {
        Received::Refused(refusal) => outcome["refused"] = json!(refusal.as_str()),
        Received::Read(Ok(Translation::Fetch(request))) => {
            outcome["fetch"] = json!(format!("{} {}", request.method.as_str(), request.path));
            if let Some(fetched) = given.get("fetched") {
                let body = body(&fetched["body"]);
                let status = u16::try_from(fetched["status"].as_u64().unwrap()).unwrap();
                note(&mut outcome, shop.receive_fetched(delivery, &secrets, Fetched { status, body: &body }));
            }
        }
        Received::Read(read) => note(&mut outcome, read),
    }

    let mut expected = expected;
    for fact in expected.get_mut("facts").and_then(Value::as_array_mut).into_iter().flatten() {
        for name in fact["names"].as_array_mut().expect("names") {
            *name = json!(shop.entity(text(name)));
        }
    }
    assert_eq!(outcome, expected, "{}: {outcome:#}", case.display());
}

fn note(outcome: &mut Value, read: Result<Translation, Misunderstood>) {
    match read {
        Ok(translation) => {
            check_slots(&translation);
            check_unprinted(&translation);
            match translation {
                Translation::Facts(drafts) => outcome["facts"] = drafts.iter().map(show).collect(),
                Translation::NotInCatalogue { topic } => outcome["not_in_catalogue"] = json!(topic.as_str()),
                Translation::Fetch(request) => panic!("expected the end of it, got {request:?}"),
            }
        }
        Err(misunderstood) => outcome["misunderstood"] = json!(misunderstood.reason.as_str()),
    }
}

fn check_command(case: &Path) {
    let given = read_json(&case.join("command.json"));
    let answers = read_json(&case.join("response.json"));
    let expected = read_json(&case.join("verdict.json"));
    let expected_request = read_json(&case.join("request.json"));
    let vendor = Vendor::new(vendor_of(case)).unwrap();
    let outbound = find(&vendor).expect("a vendor of the roster").outbound.expect("a vendor we tell things");
    let command = command(&given, &vendor);
    let open = OpenCommand {
        command: &command,
        contact: given["contact"].as_str(),
        first_name: given["first_name"].as_str(),
        recovery_url: given["recovery_url"].as_str(),
    };

    let answers: Vec<Answered> = answers.as_array().unwrap().iter().map(answered).collect();
    let mut requests = Vec::new();
    for known in 0..=answers.len() {
        match (outbound.next)(&open, &answers[..known]) {
            Next::Request { step, effect, request } => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let headers: serde_json::Map<String, Value> =
                    request.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                let Effect::Idempotent { key, lifetime_ms } = &effect else { panic!("expected a key, got {effect:?}") };
                let shown = json!({
                    "step": step,
                    "method": request.method.as_str(),
                    "path": request.path,
                    "headers": headers,
                    "idempotent": {"key": key, "lifetime_ms": lifetime_ms},
                    "body": body,
                });
                assert_eq!(shown, expected_request, "{}: {shown:#}", case.display());
                assert!(!format!("{open:?} {request:?}").contains("example.com"), "{}: printed", case.display());
                requests.push((step, effect, request));
                if known == answers.len() {
                    assert_eq!(expected, json!({"ask_again": true}), "{}: no verdict", case.display());
                }
            }
            Next::Verdict(verdict) => {
                assert_eq!(known, answers.len(), "{}: a verdict too early", case.display());
                let mut shown = json!({"state": verdict.state.as_str(), "code": verdict.code.as_str()});
                if let Some(retry_at) = verdict.retry_at {
                    shown["retry_at_ms"] = json!(retry_at.millis());
                }
                if let Some(evidence) = &verdict.evidence {
                    shown["evidence"] = json!(evidence.value);
                }
                assert_eq!(shown, expected, "{}: {shown:#}", case.display());
            }
        }
    }
    assert_eq!(requests.is_empty(), expected_request.is_null(), "{}", case.display());
    // Asking again sends the same bytes: that is what makes the key mean the same thing.
    assert!(requests.windows(2).all(|pair| pair[0] == pair[1]), "{}: another request", case.display());
}

fn answered(value: &Value) -> Answered {
    let answer = if value["lost"] == json!(true) {
        Answer::Lost
    } else {
        Answer::Received {
            status: u16::try_from(value["status"].as_u64().unwrap()).unwrap(),
            headers: headers(&value["headers"]),
            body: text(&value["body"]).as_bytes().to_vec(),
        }
    };
    Answered { step: 0, at: Timestamp::from_millis(value["at_ms"].as_i64().unwrap()), answer }
}

fn money(value: &Value) -> Option<Money> {
    let (amount, currency) = value.as_str()?.split_once(' ').unwrap();
    Some(Money::parse(amount, currency.parse().unwrap()).unwrap())
}

fn command(given: &Value, vendor: &Vendor) -> Command {
    let shopify = Vendor::new("shopify").unwrap();
    let account = Account::new("demo.myshopify.com").unwrap();
    let cart = given["cart"].as_str().map(|cart| EntityKey::at_vendor(EntityKind::Cart, &shopify, &account, cart));
    let customer = || EntityKey::at_vendor(EntityKind::Customer, &shopify, &account, "7");
    let issued_at = Timestamp::from_millis(given["issued_at_ms"].as_i64().unwrap());
    let lines = given["lines"].as_array().unwrap().iter().map(|line| MessageLine {
        sku: text(&line["sku"]).into(),
        title: text(&line["title"]).into(),
        quantity: line["quantity"].as_i64().unwrap(),
        unit_price: money(&line["unit_price"]),
    });
    Command {
        id: text(&given["id"]).parse::<CommandId>().unwrap(),
        tenant: Tenant::new("demo").unwrap(),
        connection: ConnectionName::new("messages").unwrap(),
        vendor: vendor.clone(),
        account: Account::new("demo").unwrap(),
        target: cart.clone().unwrap_or_else(customer),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at,
        not_before: issued_at,
        deadline: issued_at + 3_600_000,
        workflow: Name::fixed("cart-recovery"),
        instance: InstanceId::from_bytes([1; 16]),
        decision: DecisionId::from_bytes([2; 16]),
        causes: vec![],
        approval: None,
        compensates: None,
        contact: None,
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::new(text(&given["channel"])).unwrap(),
            template: Name::new(text(&given["template"])).unwrap(),
            cart,
            lines: lines.collect(),
            total: money(&given["total"]),
            recovery_url: None,
            first_name: None,
        }),
    }
}
