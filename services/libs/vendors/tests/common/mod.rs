//! What the tests share: a tenant, a way in for a delivery, and facts as JSON.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tradewind_domain::{
    Account, Body, ConnectionName, Direction, Line, Money, Pepper, Tenant, TicketChange, TicketStatus, Timestamp,
    Vendor,
};
use tradewind_vendors::{
    Connection, Delivery, Draft, Fetched, Inbound, Misunderstood, Refusal, Secrets, Translation, find,
};

/// A tenant's connection to a vendor, owned.
pub(crate) struct Shop {
    pub(crate) tenant: Tenant,
    pub(crate) vendor: Vendor,
    pub(crate) account: Account,
    pub(crate) connection: ConnectionName,
    pub(crate) pepper: Pepper,
}

impl Shop {
    pub(crate) fn new(vendor: &str, account: &str) -> Shop {
        Shop {
            tenant: Tenant::new("demo").unwrap(),
            vendor: Vendor::new(vendor).unwrap(),
            account: Account::new(account).unwrap(),
            connection: ConnectionName::new("store").unwrap(),
            pepper: Pepper::new(b"0123456789abcdef0123456789abcdef".to_vec()).unwrap(),
        }
    }

    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            tenant: &self.tenant,
            vendor: &self.vendor,
            account: &self.account,
            connection: &self.connection,
            pepper: &self.pepper,
        }
    }

    pub(crate) fn inbound(&self) -> Inbound {
        find(&self.vendor).expect("a vendor of the roster").inbound.expect("a vendor that tells us things")
    }

    /// The whole way in, as the connector goes it.
    pub(crate) fn receive(&self, delivery: Delivery<'_>, secrets: &Secrets) -> Received {
        match (self.inbound().verify)(delivery, &self.account, secrets) {
            Err(refusal) => Received::Refused(refusal),
            Ok(verified) => Received::Read((self.inbound().translate)(&verified, &self.connection())),
        }
    }

    pub(crate) fn receive_fetched(
        &self,
        delivery: Delivery<'_>,
        secrets: &Secrets,
        fetched: Fetched<'_>,
    ) -> Result<Translation, Misunderstood> {
        let verified = (self.inbound().verify)(delivery, &self.account, secrets).expect("a genuine delivery");
        let translate_fetched = self.inbound().translate_fetched.expect("a vendor that is fetched from");
        translate_fetched(&verified, fetched, &self.connection())
    }

    /// `email:<address>` and `phone:<number>` become the hashed identifier's text;
    /// anything else is an entity's text already.
    pub(crate) fn entity(&self, text: &str) -> String {
        let identifier = match text.split_once(':') {
            Some(("email", address)) => self.pepper.email(address),
            Some(("phone", number)) => self.pepper.phone(number),
            Some(_) | None => return text.to_owned(),
        };
        identifier.unwrap_or_else(|| panic!("expected an identifier, got {text}")).to_string()
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Refused(Refusal),
    Read(Result<Translation, Misunderstood>),
}

/// The top of the checkout.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The folder of samples beside the checkout. Where it is absent a test prints
/// that it was left out; in CI it fails.
pub(crate) fn shared() -> Option<PathBuf> {
    let shared = top().join("../shared");
    if shared.is_dir() {
        return Some(shared);
    }
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_ci, "expected the samples at {}", shared.display());
    eprintln!("skipped: there are no samples at {}", shared.display());
    None
}

pub(crate) fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// A draft as the fixtures write it: what is absent is left out.
#[expect(clippy::wildcard_enum_match_arm, reason = "vendors tell of few of the facts there are")]
pub(crate) fn show(draft: &Draft) -> Value {
    let mut shown = match &draft.fact.body {
        Body::CartUpdated(fact) => json!({
            "digest": hex(&fact.digest),
            "created_at_ms": fact.created_at.millis(),
            "lines": lines(&fact.lines),
            "total": money(fact.total),
        }),
        Body::CheckoutUpdated(fact) => json!({
            "digest": hex(&fact.digest),
            "created_at_ms": fact.created_at.millis(),
            "completed_at_ms": fact.completed_at.map(Timestamp::millis),
            "lines": lines(&fact.lines),
            "total": money(fact.total),
        }),
        Body::CheckoutDeleted(_) => json!({}),
        Body::OrderPlaced(fact) => json!({
            "lines": lines(&fact.lines),
            "total": money(fact.total),
            "test": fact.test.then_some(true),
            "number": fact.number,
        }),
        Body::OrderCancelled(fact) => json!({ "reason": fact.reason }),
        Body::TicketUpdated(fact) => json!({
            "change": match fact.change {
                TicketChange::Opened => "opened",
                TicketChange::Updated => "updated",
                TicketChange::Closed => "closed",
            },
            "status": match fact.status {
                TicketStatus::Open => "open",
                TicketStatus::Closed => "closed",
            },
            "digest": hex(&fact.digest),
            "created_at_ms": fact.created_at.millis(),
            "channel": fact.channel,
        }),
        Body::TicketMessaged(fact) => json!({
            "message_id": fact.message_id,
            "direction": match fact.direction {
                Direction::Received => "received",
                Direction::Sent => "sent",
                Direction::Note => "note",
            },
            "channel": fact.channel,
        }),
        other => panic!("expected a fact of the slice, got {}", other.kind()),
    };
    let (about, names) = draft.fact.body.about().expect("a commerce fact");
    let personal: Map<String, Value> =
        draft.personal.iter().map(|personal| (personal.field.to_owned(), json!(personal.value))).collect();
    let members = shown.as_object_mut().expect("an object");
    members.insert("id".to_owned(), json!(draft.id.to_string()));
    members.insert("kind".to_owned(), json!(draft.fact.body.kind()));
    members.insert("occurred_at_ms".to_owned(), json!(draft.fact.occurred_at.millis()));
    members.insert("about".to_owned(), json!(about.to_string()));
    members.insert("names".to_owned(), json!(names.iter().map(ToString::to_string).collect::<Vec<_>>()));
    members.insert("personal".to_owned(), Value::Object(personal));
    members.insert("caused_by".to_owned(), json!(draft.caused_by.map(|command| command.to_string())));
    members.retain(|_, value| !value.is_null());
    shown
}

fn lines(lines: &[Line]) -> Vec<Value> {
    let shown = lines.iter().map(|line| {
        let mut shown = json!({
            "line_id": line.line_id,
            "variant_id": line.variant_id,
            "product_id": line.product_id,
            "sku": line.sku,
            "title": line.title,
            "quantity": line.quantity,
        });
        if let Some(price) = line.unit_price {
            shown["unit_price"] = json!(price.to_string());
        }
        shown
    });
    shown.collect()
}

fn money(money: Option<Money>) -> Value {
    json!(money.map(|money| money.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every personal value has an empty slot of its own in its fact.
pub(crate) fn check_slots(translation: &Translation) {
    let Translation::Facts(drafts) = translation else { return };
    for draft in drafts {
        let mut body = draft.fact.body.clone();
        for personal in &draft.personal {
            let slot = body.sealed_slot(personal.field).unwrap_or_else(|| panic!("no slot for {}", personal.field));
            assert!(slot.is_none(), "{} comes sealed", personal.field);
        }
    }
}

/// Nothing prints a personal value; one of a few letters may stand in other words.
pub(crate) fn check_unprinted(translation: &Translation) {
    let Translation::Facts(drafts) = translation else { return };
    let printed = format!("{translation:?}");
    for personal in drafts.iter().flat_map(|draft| &draft.personal) {
        assert!(personal.value.len() < 8 || !printed.contains(&personal.value), "{} is printed", personal.field);
    }
}
