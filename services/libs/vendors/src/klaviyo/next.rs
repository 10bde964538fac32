//! `message.send` as one event: `POST /api/events`, answered 202 with nothing in it.
//!
//! The command's id is the event's `unique_id`, and the bytes are the same each
//! time, so asking again after a lost answer has no second effect.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tradewind_domain::{CommandBody, EntityId, MessageLine, MessageSend, Money, Name, OutcomeState, Timestamp};

use super::UNIQUE_ID_LIFETIME_MS;
use crate::draft::Personal;
use crate::instant;
use crate::outbound::{Answer, Answered, Effect, Method, Next, OpenCommand, Request, Verdict};

/// The revision whose shapes this is written for.
const REVISION: &str = "2026-07-15";

/// Waited when a 429 doesn't say for how long: the longer of its two windows.
const THROTTLED_MS: i64 = 60_000;

/// Longest evidence kept of an answer.
const EVIDENCE_BYTES_MAX: usize = 2_000;

/// The first request, or the next after what was answered: one step, repeated
/// until an answer arrives.
#[must_use]
pub fn next(command: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    match answers.last() {
        None => ask(command),
        Some(answered) => match &answered.answer {
            Answer::Lost => ask(command),
            Answer::Received { status, headers, body } => {
                let retry_after = headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.trim());
                Next::Verdict(judge(*status, retry_after, body, answered.at))
            }
        },
    }
}

fn ask(command: &OpenCommand<'_>) -> Next {
    let CommandBody::MessageSend(message) = &command.command.body;
    if message.channel.as_str() != "email" {
        return rejected("channel_not_served");
    }
    let Some(email) = command.contact.map(str::trim).filter(|contact| contact.contains('@')) else {
        return rejected("no_address");
    };
    if message.template.as_str().is_empty() {
        return rejected("no_template");
    }
    let Some(time) = instant::to_rfc3339_seconds(command.command.issued_at) else {
        return rejected("no_time");
    };
    let unique_id = command.command.id.to_string();
    let event = event(command, message, email, &unique_id, &time);
    Next::Request {
        step: 0,
        effect: Effect::Idempotent { key: unique_id.as_str().into(), lifetime_ms: UNIQUE_ID_LIFETIME_MS },
        request: Request {
            method: Method::Post,
            path: "/api/events".to_owned(),
            headers: vec![
                ("revision", REVISION),
                ("content-type", "application/vnd.api+json"),
                ("accept", "application/vnd.api+json"),
            ],
            body: serde_json::to_vec(&event).expect("text and numbers are JSON"),
        },
    }
}

/// `{"data": …}`, as JSON:API wraps everything.
#[derive(Serialize)]
struct Wrapped<T> {
    data: T,
}

#[derive(Serialize)]
struct Resource<T> {
    r#type: &'static str,
    attributes: T,
}

#[derive(Serialize)]
struct Event<'a> {
    unique_id: &'a str,
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_currency: Option<String>,
    metric: Wrapped<Resource<Metric<'a>>>,
    profile: Wrapped<Resource<Profile<'a>>>,
    properties: Properties<'a>,
}

/// The message's template: what the merchant's flow is triggered by.
#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
}

/// The address alone: naming more would write it into the merchant's profile.
#[derive(Serialize)]
struct Profile<'a> {
    email: &'a str,
}

/// What the flow's template can show.
#[derive(Serialize)]
struct Properties<'a> {
    command_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cart_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_url: Option<&'a str>,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    sku: &'a str,
    title: &'a str,
    quantity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

fn event<'a>(
    command: &OpenCommand<'a>,
    message: &'a MessageSend,
    email: &'a str,
    unique_id: &'a str,
    time: &'a str,
) -> Wrapped<Resource<Event<'a>>> {
    let cart_id = message.cart.as_ref().and_then(|cart| match cart.id() {
        EntityId::Vendor(id) => Some(id),
        EntityId::Hash(_) => None,
    });
    let wrapped = |name| Wrapped { data: Resource { r#type: "metric", attributes: Metric { name } } };
    Wrapped {
        data: Resource {
            r#type: "event",
            attributes: Event {
                unique_id,
                time,
                value: message
                    .total
                    .map(|total| RawValue::from_string(amount(total)).expect("an amount is a JSON number")),
                value_currency: message.total.map(|total| total.currency.as_str().to_owned()),
                metric: wrapped(message.template.as_str()),
                profile: Wrapped { data: Resource { r#type: "profile", attributes: Profile { email } } },
                properties: Properties {
                    command_id: unique_id,
                    cart_id,
                    first_name: command.first_name,
                    recovery_url: command.recovery_url,
                    items: message.lines.iter().map(item).collect(),
                },
            },
        },
    }
}

fn item(line: &MessageLine) -> Item<'_> {
    Item {
        sku: &line.sku,
        title: &line.title,
        quantity: line.quantity,
        unit_price: line.unit_price.map(amount),
        currency: line.unit_price.map(|price| price.currency.as_str().to_owned()),
    }
}

/// `19.99`: the digits, without the currency.
fn amount(money: Money) -> String {
    let shown = money.to_string();
    shown.split_once(' ').map_or(shown.as_str(), |(digits, _)| digits).to_owned()
}

/// What an answer means.
fn judge(status: u16, retry_after: Option<&str>, body: &[u8], at: Timestamp) -> Verdict {
    let asked = retry_after.and_then(|text| instant::retry_after(text, at)).map(|time| time.max(at));
    let failure = || Verdict {
        state: OutcomeState::Failed,
        code: code(body).unwrap_or_else(|| status_code(status)),
        retry_at: asked,
        evidence: evidence(body),
    };
    match status {
        // Accepted, not processed: no later answer tells, so this is the end of what can be known.
        202 => {
            Verdict { state: OutcomeState::Succeeded, code: Name::fixed("accepted"), retry_at: None, evidence: None }
        }
        429 => Verdict {
            state: OutcomeState::Throttled,
            code: Name::fixed("throttled"),
            retry_at: Some(asked.unwrap_or(at + THROTTLED_MS)),
            evidence: None,
        },
        // A key that was withdrawn, or a right: the merchant mends it, and the command is still wanted.
        401 | 403 => failure(),
        408 | 500..=599 => failure(),
        400..=499 => Verdict { state: OutcomeState::Rejected, retry_at: None, ..failure() },
        // Nothing of Klaviyo's says 200 here: somebody in between answered, and what became of the event is open.
        _ => Verdict { state: OutcomeState::Unknown, code: status_code(status), ..failure() },
    }
}

fn rejected(code: &'static str) -> Next {
    Next::Verdict(Verdict { state: OutcomeState::Rejected, code: Name::fixed(code), retry_at: None, evidence: None })
}

fn status_code(status: u16) -> Name {
    Name::new(&format!("http_{status}")).expect("a short word is a name")
}

/// An answer that is not 202, as JSON:API has it.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: Option<String>,
    detail: Option<String>,
    source: Option<ErrorSource>,
}

#[derive(Deserialize)]
struct ErrorSource {
    pointer: Option<String>,
    parameter: Option<String>,
}

fn errors(body: &[u8]) -> Option<Vec<ErrorObject>> {
    serde_json::from_slice::<Errors>(body).ok().map(|body| body.errors)
}

/// The first error's code, if it looks like one.
fn code(body: &[u8]) -> Option<Name> {
    let code = errors(body)?.into_iter().next()?.code?;
    let is_word = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_word { Name::new(&code).ok() } else { None }
}

/// Every error with its place, or the beginning of an answer in no known shape.
fn evidence(body: &[u8]) -> Option<Personal> {
    let told = errors(body).map(|errors| {
        let told = errors.into_iter().map(|error| {
            let source = error.source.and_then(|source| source.pointer.or(source.parameter)).unwrap_or_default();
            let (code, detail) = (error.code.unwrap_or_default(), error.detail.unwrap_or_default());
            format!("{code} at {source}: {detail}")
        });
        told.collect::<Vec<_>>().join("\n")
    });
    let mut value = told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    value.truncate(value.floor_char_boundary(EVIDENCE_BYTES_MAX));
    (!value.is_empty()).then_some(Personal { field: "evidence", value })
}
