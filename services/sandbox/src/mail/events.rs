//! Events and what they did: each profile and metric has an event of one
//! `unique_id` once, however often it is sent.
//!
//! The ledger of effects is the measure of "exactly once", so nothing in it is
//! ever forgotten.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::faults::{self, Fault};
use super::windows::{Remaining, Windows};
use crate::chance::Chance;
use crate::clock;
use crate::settings::MailSettings;

const YEAR_MS: i64 = 366 * 24 * 60 * 60 * 1_000;
const YEAR_1990_MS: i64 = 631_152_000_000;
const PROPERTIES_MAX: usize = 400;
const TEXT_BYTES_MAX: usize = 100 * 1024;

/// What an event did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    pub number: u64,
    /// Absent if the sender gave none: then the second of `time` stands for it.
    pub unique_id: Option<String>,
    pub metric: String,
    /// The profile, as [`Effect::profile_of`] writes it.
    pub profile: String,
    /// How often it was recorded: once, unless the service forgot the `unique_id`.
    pub count: u64,
    /// How often it was received by a request that could have recorded it.
    pub received: u64,
    /// When it was recorded last.
    pub at_ms: i64,
    /// The event's own time.
    pub time_ms: i64,
    /// Recorded as history, without triggering flows.
    pub is_backfill: bool,
    #[serde(skip)]
    pub properties: Map<String, Value>,
}

impl Effect {
    /// The first 16 bytes of SHA-256 of an identifier in lower case, in hexadecimal:
    /// tells profiles apart without showing an address.
    #[must_use]
    pub fn profile_of(identifier: &str) -> String {
        hex(&Sha256::digest(identifier.trim().to_lowercase())[..16])
    }
}

/// Exact counts of requests to `/api/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MailCounts {
    pub requests: u64,
    /// Events recorded, each repetition counted.
    pub effects: u64,
    /// Requests whose event was recorded already.
    pub duplicates: u64,
    /// By status; what was never answered is under `none`.
    pub answers: BTreeMap<String, u64>,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
}

/// What is asked, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) authorization: Option<&'a str>,
    pub(crate) revision: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// How the answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Prompt,
    Slow,
    /// Held open and never answered.
    Held,
    /// Cut at once.
    Cut,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) manner: Manner,
    pub(crate) status: u16,
    pub(crate) remaining: Option<Remaining>,
    pub(crate) retry_after_s: Option<i64>,
    /// Nothing is an empty body.
    pub(crate) body: Option<Value>,
}

impl Reply {
    fn new(status: u16, body: Option<Value>) -> Reply {
        Reply { manner: Manner::Prompt, status, remaining: None, retry_after_s: None, body }
    }

    fn throttled(id: &str, retry_after_s: i64) -> Reply {
        let error = error(id, 429, "throttled", "Request was throttled.", Some(("pointer", "/data/")));
        Reply { retry_after_s: Some(retry_after_s), ..Reply::new(429, Some(error)) }
    }
}

/// What Klaviyo takes for the same event. The second counts where there is no
/// `unique_id`, and is 0 where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    unique_id: Option<String>,
    second: i64,
    profile: String,
    metric: String,
}

#[derive(Debug)]
pub(crate) struct Mail {
    settings: MailSettings,
    seed: u64,
    windows: Windows,
    places: BTreeMap<Key, usize>,
    effects: Vec<Effect>,
    /// How often each request came: the fate of the next one depends on it.
    received: BTreeMap<[u8; 16], u64>,
    counts: MailCounts,
}

impl Mail {
    pub(crate) fn new(settings: MailSettings, seed: u64) -> Mail {
        Mail {
            windows: Windows::new(settings.burst, settings.steady),
            settings,
            seed,
            places: BTreeMap::new(),
            effects: Vec::new(),
            received: BTreeMap::new(),
            counts: MailCounts::default(),
        }
    }

    pub(crate) fn settings(&self) -> &MailSettings {
        &self.settings
    }

    pub(crate) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Those of one `unique_id`: one for each profile and metric it came with.
    pub(crate) fn effects_of(&self, unique_id: &str) -> impl Iterator<Item = &Effect> {
        let first =
            Key { unique_id: Some(unique_id.to_owned()), second: 0, profile: String::new(), metric: String::new() };
        let of_it = self.places.range(first..).take_while(move |(key, _)| key.unique_id.as_deref() == Some(unique_id));
        of_it.map(|(_, place)| &self.effects[*place])
    }

    pub(crate) fn counts(&self) -> &MailCounts {
        &self.counts
    }

    /// `POST /api/events`.
    pub(crate) fn create(&mut self, asked: Asked<'_>, now_ms: i64) -> Reply {
        self.counts.requests += 1;
        let reply = self.created(asked, now_ms);
        let word = match reply.manner {
            Manner::Prompt | Manner::Slow => reply.status.to_string(),
            Manner::Held | Manner::Cut => "none".to_owned(),
        };
        *self.counts.answers.entry(word).or_default() += 1;
        reply
    }

    fn created(&mut self, asked: Asked<'_>, now_ms: i64) -> Reply {
        let id = self.error_id();
        if let Some(refusal) = self.refused(&id, asked) {
            return refusal;
        }
        let remaining = match self.windows.admit(now_ms) {
            Ok(remaining) => remaining,
            Err(retry_after_s) => return Reply::throttled(&id, retry_after_s),
        };
        let event = match read(asked, now_ms) {
            Ok(event) => event,
            Err(invalid) => {
                let body = error(&id, invalid.status, "invalid", &invalid.detail, Some(("pointer", invalid.pointer)));
                return Reply { remaining: Some(remaining), ..Reply::new(invalid.status, Some(body)) };
            }
        };
        let fault = self.fault(asked.body);
        let is_applied = match fault {
            None | Some(Fault::Slow) => true,
            Some(Fault::Unavailable { is_applied } | Fault::TimedOut { is_applied } | Fault::Cut { is_applied }) => {
                is_applied
            }
            Some(Fault::Throttled { .. }) => false,
        };
        if is_applied {
            self.apply(event, now_ms);
        }
        let accepted = |manner| Reply { manner, remaining: Some(remaining), ..Reply::new(202, None) };
        match fault {
            None => accepted(Manner::Prompt),
            Some(Fault::Slow) => accepted(Manner::Slow),
            Some(Fault::TimedOut { .. }) => accepted(Manner::Held),
            Some(Fault::Cut { .. }) => accepted(Manner::Cut),
            Some(Fault::Throttled { retry_after_s }) => Reply::throttled(&id, retry_after_s),
            Some(Fault::Unavailable { .. }) => {
                let error = error(&id, 500, "error", "A server error occurred.", None);
                Reply { remaining: Some(remaining), ..Reply::new(500, Some(error)) }
            }
        }
    }

    /// `GET /api/events`: what is visible by now, the oldest first.
    pub(crate) fn list(&mut self, asked: Asked<'_>, query: &BTreeMap<String, String>, now_ms: i64) -> Reply {
        let id = self.error_id();
        if let Some(refusal) = self.refused(&id, asked) {
            return refusal;
        }
        let remaining = match self.windows.admit(now_ms) {
            Ok(remaining) => remaining,
            Err(retry_after_s) => return Reply::throttled(&id, retry_after_s),
        };
        let answer = |status, body| Reply { remaining: Some(remaining), ..Reply::new(status, Some(body)) };
        let bad = |parameter: &str| {
            let detail = format!("'{parameter}' is not an allowed parameter or value for this resource.");
            answer(400, error(&id, 400, "invalid", &detail, Some(("parameter", parameter))))
        };
        let (mut size, mut from) = (200, 0);
        for (name, value) in query {
            let number: Option<usize> = value.parse().ok();
            match (name.as_str(), number) {
                ("page[size]", Some(number @ 1..=1_000)) => size = number,
                ("page[cursor]", Some(number)) => from = number,
                _ => return bad(name),
            }
        }
        let is_visible = |effect: &&Effect| effect.at_ms + self.settings.visible_after_ms <= now_ms;
        let visible: Vec<&Effect> = self.effects.iter().skip(from).filter(is_visible).take(size).collect();
        let shown: Vec<Value> = visible.iter().map(|effect| resource(effect)).collect();
        let next = visible
            .last()
            .filter(|_| visible.len() == size)
            .map(|last| format!("/api/events?page%5Bsize%5D={size}&page%5Bcursor%5D={}", last.number + 1));
        answer(200, json!({ "data": shown, "links": { "self": "/api/events", "next": next, "prev": null } }))
    }

    fn refused(&self, id: &str, asked: Asked<'_>) -> Option<Reply> {
        let refusal = |status, code, detail| Some(Reply::new(status, Some(error(id, status, code, detail, None))));
        let key = asked.authorization.map(|value| value.strip_prefix("Klaviyo-API-Key ").unwrap_or_default());
        match key {
            None => return refusal(401, "not_authenticated", "Authentication credentials were not provided."),
            Some(key) if key != self.settings.key.as_str() => {
                return refusal(401, "authentication_failed", "Incorrect authentication credentials.");
            }
            Some(_) => {}
        }
        let revision = asked.revision.unwrap_or_default();
        if clock::millis(&format!("{revision}T00:00:00Z")).is_none() {
            return refusal(400, "invalid", "A revision header of the form YYYY-MM-DD is required.");
        }
        // Every revision but those of the last two years is gone.
        if revision < "2024-07-15" {
            return refusal(410, "gone", "This revision is no longer supported.");
        }
        None
    }

    fn fault(&mut self, body: &[u8]) -> Option<Fault> {
        let digest = Sha256::digest(body)[..16].try_into().expect("a digest has 32 bytes");
        let times = self.received.entry(digest).or_default();
        let fault = faults::draw(self.settings.faults, self.seed, body, *times);
        *times += 1;
        if let Some(fault) = fault {
            *self.counts.faults.entry(fault.word()).or_default() += 1;
        }
        fault
    }

    fn apply(&mut self, event: Event, now_ms: i64) {
        let Event { unique_id, metric, profile, time_ms, is_backfill, properties } = event;
        let second = if unique_id.is_some() { 0 } else { time_ms.div_euclid(1_000) };
        let key = Key { unique_id: unique_id.clone(), second, profile: profile.clone(), metric: metric.clone() };
        if let Some(place) = self.places.get(&key) {
            let effect = &mut self.effects[*place];
            effect.received += 1;
            let is_forgotten = self.settings.unique_ids_kept_ms.is_some_and(|kept_ms| now_ms - effect.at_ms >= kept_ms);
            if is_forgotten {
                (effect.count, effect.at_ms) = (effect.count + 1, now_ms);
                self.counts.effects += 1;
            } else {
                self.counts.duplicates += 1;
            }
            return;
        }
        self.places.insert(key, self.effects.len());
        self.counts.effects += 1;
        self.effects.push(Effect {
            number: self.effects.len() as u64,
            unique_id,
            metric,
            profile,
            count: 1,
            received: 1,
            at_ms: now_ms,
            time_ms,
            is_backfill,
            properties,
        });
    }

    fn error_id(&self) -> String {
        Chance::of(self.seed, "error", &[&self.counts.requests.to_be_bytes()]).uuid()
    }
}

fn resource(effect: &Effect) -> Value {
    let id = hex(&Sha256::digest(format!("event {}", effect.number))[..13]);
    json!({
        "type": "event",
        "id": id,
        "attributes": {
            "timestamp": effect.time_ms.div_euclid(1_000),
            "event_properties": effect.properties,
            "datetime": clock::offset_seconds(effect.time_ms, 0),
            "uuid": id,
        },
        "relationships": {
            "profile": { "data": { "type": "profile", "id": effect.profile } },
            "metric": { "data": { "type": "metric", "id": Effect::profile_of(&effect.metric)[..6] } },
        },
    })
}

fn error(id: &str, status: u16, code: &str, detail: &str, source: Option<(&str, &str)>) -> Value {
    let title = if status == 400 { "Invalid input." } else { detail };
    let source: Map<String, Value> = source.into_iter().map(|(kind, place)| (kind.to_owned(), json!(place))).collect();
    json!({ "errors": [{
        "id": id, "status": status, "code": code, "title": title, "detail": detail, "source": source, "meta": {},
    }] })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Event {
    unique_id: Option<String>,
    metric: String,
    profile: String,
    time_ms: i64,
    is_backfill: bool,
    properties: Map<String, Value>,
}

struct Invalid {
    status: u16,
    pointer: &'static str,
    detail: String,
}

fn invalid(pointer: &'static str, detail: &str) -> Invalid {
    Invalid { status: 400, pointer, detail: detail.to_owned() }
}

/// An event as JSON:API has it, held against the limits Klaviyo documents.
fn read(asked: Asked<'_>, now_ms: i64) -> Result<Event, Invalid> {
    let media = asked.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !matches!(media, "application/vnd.api+json" | "application/json") {
        return Err(Invalid { status: 415, pointer: "/", detail: format!("Unsupported media type '{media}'.") });
    }
    let body: Value = serde_json::from_slice(asked.body).map_err(|_| invalid("/", "The body is not JSON."))?;
    let data = &body["data"];
    if data["type"] != "event" {
        return Err(invalid("/data/type", "'event' is expected."));
    }
    let attributes = &data["attributes"];
    let Some(properties) = attributes["properties"].as_object() else {
        return Err(invalid("/data/attributes/properties", "'properties' is a required object."));
    };
    if properties.len() > PROPERTIES_MAX {
        return Err(invalid("/data/attributes/properties", "At most 400 properties are allowed."));
    }
    if properties.values().any(|value| longest_text(value) > TEXT_BYTES_MAX) {
        return Err(invalid("/data/attributes/properties", "A text of a property may have 100 KB."));
    }
    let metric = &attributes["metric"]["data"];
    let name = metric["attributes"]["name"].as_str().unwrap_or_default();
    if metric["type"] != "metric" || name.is_empty() {
        return Err(invalid("/data/attributes/metric/data", "A metric with a name is required."));
    }
    let profile = &attributes["profile"]["data"];
    if profile["type"] != "profile" {
        return Err(invalid("/data/attributes/profile/data/type", "'profile' is expected."));
    }
    let email = &profile["attributes"]["email"];
    let is_address = email.as_str().is_some_and(|email| {
        email.trim().split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && domain.contains('.') && !domain.contains('@') && !email.trim().contains(' ')
        })
    });
    if !email.is_null() && !is_address {
        return Err(invalid("/data/attributes/profile/data/attributes/email", "Invalid email address."));
    }
    let identifiers = ["email", "phone_number", "external_id", "anonymous_id", "_kx"];
    let named = identifiers.iter().find_map(|name| profile["attributes"][name].as_str());
    let Some(named) = named.or(profile["id"].as_str()).filter(|named| !named.trim().is_empty()) else {
        return Err(invalid("/data/attributes/profile/data", "A profile needs an identifier."));
    };
    let time_ms = given(&attributes["time"]).map_or(Some(now_ms), |time| {
        let time_ms = time.as_str().and_then(clock::millis);
        time_ms.filter(|time_ms| (YEAR_1990_MS..=now_ms + YEAR_MS).contains(time_ms))
    });
    let time_ms =
        time_ms.ok_or_else(|| invalid("/data/attributes/time", "A time after 1990 and within a year is expected."))?;
    if given(&attributes["value"]).is_some_and(|value| !value.is_number()) {
        return Err(invalid("/data/attributes/value", "A number is expected."));
    }
    let unique_id = given(&attributes["unique_id"])
        .map(|id| id.as_str().ok_or_else(|| invalid("/data/attributes/unique_id", "A text is expected.")))
        .transpose()?;
    Ok(Event {
        unique_id: unique_id.map(str::to_owned),
        metric: name.to_owned(),
        profile: Effect::profile_of(named),
        time_ms,
        is_backfill: attributes["backfill"] == true,
        properties: properties.clone(),
    })
}

/// Neither absent nor null.
fn given(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}

fn longest_text(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(longest_text).max().unwrap_or(0),
        Value::Object(members) => members.values().map(longest_text).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MailFaults;

    const NOW_MS: i64 = 1_795_428_000_000;

    fn mail(faults: MailFaults) -> Mail {
        Mail::new(MailSettings { faults, ..MailSettings::new("pk_sandbox".into()) }, 7)
    }

    fn event(unique_id: &str) -> Value {
        json!({ "data": { "type": "event", "attributes": {
            "unique_id": unique_id,
            "time": "2026-11-23T10:00:00Z",
            "value": 34.99,
            "metric": { "data": { "type": "metric", "attributes": { "name": "Cart left behind" } } },
            "profile": { "data": { "type": "profile", "attributes": { "email": "ada@example.com" } } },
            "properties": { "command_id": unique_id },
        } } })
    }

    fn ask(mail: &mut Mail, body: &Value, now_ms: i64) -> Reply {
        let body = body.to_string();
        mail.create(asked(body.as_bytes()), now_ms)
    }

    fn asked(body: &[u8]) -> Asked<'_> {
        Asked {
            authorization: Some("Klaviyo-API-Key pk_sandbox"),
            revision: Some("2026-07-15"),
            content_type: Some("application/vnd.api+json"),
            body,
        }
    }

    #[test]
    fn an_event_of_one_unique_id_has_one_effect() {
        let mut mail = mail(MailFaults::default());
        for _ in 0..3 {
            let reply = ask(&mut mail, &event("c-1"), NOW_MS);
            assert_eq!((reply.status, reply.body), (202, None));
        }
        assert_eq!(ask(&mut mail, &event("c-2"), NOW_MS).status, 202);
        let told: Vec<_> = mail.effects().iter().map(|effect| (effect.count, effect.received)).collect();
        assert_eq!(told, [(1, 3), (1, 1)]);
        assert_eq!((mail.counts().effects, mail.counts().duplicates), (2, 2));
        assert_eq!(mail.effects()[0].profile, Effect::profile_of("ADA@example.com "));
    }

    #[test]
    fn the_same_id_for_another_profile_or_metric_is_another_effect() {
        let mut mail = mail(MailFaults::default());
        ask(&mut mail, &event("c-1"), NOW_MS);
        let mut other = event("c-1");
        other["data"]["attributes"]["profile"]["data"]["attributes"]["email"] = json!("grace@example.com");
        ask(&mut mail, &other, NOW_MS);
        let mut other = event("c-1");
        other["data"]["attributes"]["metric"]["data"]["attributes"]["name"] = json!("Another");
        ask(&mut mail, &other, NOW_MS);
        assert_eq!(mail.counts().effects, 3);
        assert_eq!((mail.effects_of("c-1").count(), mail.effects_of("c").count()), (3, 0));
    }

    #[test]
    fn without_a_unique_id_the_second_stands_for_it() {
        let mut mail = mail(MailFaults::default());
        let mut anonymous = event("");
        anonymous["data"]["attributes"]["unique_id"] = Value::Null;
        ask(&mut mail, &anonymous, NOW_MS);
        anonymous["data"]["attributes"]["time"] = json!("2026-11-23T10:00:00.900Z");
        ask(&mut mail, &anonymous, NOW_MS);
        anonymous["data"]["attributes"]["time"] = json!("2026-11-23T10:00:01Z");
        ask(&mut mail, &anonymous, NOW_MS);
        assert_eq!((mail.counts().effects, mail.counts().duplicates), (2, 1));
    }

    #[test]
    fn a_service_that_forgets_ids_records_twice_and_says_so() {
        let mut mail = mail(MailFaults::default());
        mail.settings.unique_ids_kept_ms = Some(1_000);
        for now_ms in [NOW_MS, NOW_MS + 999, NOW_MS + 1_000] {
            ask(&mut mail, &event("c-1"), now_ms);
        }
        assert_eq!((mail.effects()[0].count, mail.effects()[0].received), (2, 3));
    }

    #[test]
    fn each_fault_does_what_its_name_says() {
        let all = |share: fn(&mut MailFaults) -> &mut u16| {
            let mut faults = MailFaults::default();
            *share(&mut faults) = 1_000;
            let mut mail = mail(faults);
            let reply = ask(&mut mail, &event("c-1"), NOW_MS);
            (reply.manner, reply.status, reply.retry_after_s.is_some(), mail.counts().effects)
        };
        assert_eq!(all(|faults| &mut faults.throttled), (Manner::Prompt, 429, true, 0));
        assert_eq!(all(|faults| &mut faults.unavailable), (Manner::Prompt, 500, false, 0));
        assert_eq!(all(|faults| &mut faults.unavailable_applied), (Manner::Prompt, 500, false, 1));
        assert_eq!(all(|faults| &mut faults.timed_out), (Manner::Held, 202, false, 0));
        assert_eq!(all(|faults| &mut faults.timed_out_applied), (Manner::Held, 202, false, 1));
        assert_eq!(all(|faults| &mut faults.slow), (Manner::Slow, 202, false, 1));
        assert_eq!(all(|faults| &mut faults.cut), (Manner::Cut, 202, false, 0));
        assert_eq!(all(|faults| &mut faults.cut_applied), (Manner::Cut, 202, false, 1));
    }

    #[test]
    fn what_was_cut_and_sent_again_has_one_effect() {
        let mut mail = mail(MailFaults::some());
        for n in 0..500 {
            // Each is sent until it is answered 202, as a sender that lost the answer does.
            let now_ms = NOW_MS + n * 60_000;
            while {
                let reply = ask(&mut mail, &event(&format!("c-{n}")), now_ms);
                reply.status != 202 || matches!(reply.manner, Manner::Held | Manner::Cut)
            } {}
        }
        assert!(mail.effects().iter().all(|effect| effect.count == 1));
        assert_eq!(mail.effects().len(), 500);
        assert!(mail.counts().duplicates > 0);
    }

    #[test]
    fn over_the_limit_it_says_for_how_long() {
        let mut mail = mail(MailFaults::default());
        let statuses: Vec<u16> = (0..351).map(|n| ask(&mut mail, &event(&format!("c-{n}")), NOW_MS).status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 350);
        let reply = ask(&mut mail, &event("c-351"), NOW_MS);
        assert_eq!((reply.status, reply.retry_after_s, reply.remaining), (429, Some(1), None));
        let reply = ask(&mut mail, &event("c-351"), NOW_MS + 1_000);
        assert_eq!((reply.status, reply.remaining.map(|remaining| remaining.remaining)), (202, Some(3_149)));
        assert_eq!(mail.counts().effects, 351);
    }

    #[test]
    fn who_may_not_ask_is_refused() {
        let mut mail = mail(MailFaults::default());
        let body = event("c-1").to_string();
        let right = asked(body.as_bytes());
        for (asked, status) in [
            (Asked { authorization: None, ..right }, 401),
            (Asked { authorization: Some("Klaviyo-API-Key pk_other"), ..right }, 401),
            (Asked { authorization: Some("Bearer pk_sandbox"), ..right }, 401),
            (Asked { revision: None, ..right }, 400),
            (Asked { revision: Some("latest"), ..right }, 400),
            (Asked { revision: Some("2023-02-22"), ..right }, 410),
            (Asked { content_type: Some("text/plain"), ..right }, 415),
            (right, 202),
        ] {
            assert_eq!(mail.create(asked, NOW_MS).status, status, "{asked:?}");
        }
        assert_eq!(mail.counts().effects, 1);
    }

    #[test]
    fn a_body_that_is_no_event_is_told_where() {
        let place = |change: fn(&mut Value)| {
            let mut body = event("c-1");
            change(&mut body);
            let reply = ask(&mut mail(MailFaults::default()), &body, NOW_MS);
            assert_eq!(reply.status, 400);
            let body = reply.body.expect("an error says what");
            assert_eq!(body["errors"][0]["code"], "invalid");
            body["errors"][0]["source"]["pointer"].as_str().map(str::to_owned)
        };
        assert_eq!(place(|body| body["data"]["type"] = json!("profile")).as_deref(), Some("/data/type"));
        assert_eq!(
            place(|body| body["data"]["attributes"]["properties"] = Value::Null).as_deref(),
            Some("/data/attributes/properties")
        );
        assert_eq!(
            place(|body| body["data"]["attributes"]["time"] = json!("1989-01-01T00:00:00Z")).as_deref(),
            Some("/data/attributes/time")
        );
        assert_eq!(
            place(|body| body["data"]["attributes"]["time"] = json!("2029-01-01T00:00:00Z")).as_deref(),
            Some("/data/attributes/time")
        );
        assert_eq!(
            place(|body| body["data"]["attributes"]["profile"]["data"]["attributes"] = json!({})).as_deref(),
            Some("/data/attributes/profile/data")
        );
        assert_eq!(
            place(|body| body["data"]["attributes"]["profile"]["data"]["attributes"]["email"] = json!("ada"))
                .as_deref(),
            Some("/data/attributes/profile/data/attributes/email")
        );
    }

    #[test]
    fn an_event_can_be_read_back_after_a_while() {
        let mut mail = mail(MailFaults::default());
        for n in 0..3 {
            ask(&mut mail, &event(&format!("c-{n}")), NOW_MS);
        }
        let mut list = |query: &[(&str, &str)], now_ms| {
            let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            mail.list(asked(b""), &query, now_ms)
        };
        let ids = |reply: &Reply| -> Vec<String> {
            let events = reply.body.as_ref().expect("a list")["data"].as_array().expect("events").clone();
            let id = |event: &Value| event["attributes"]["event_properties"]["command_id"].as_str().map(str::to_owned);
            events.iter().filter_map(id).collect()
        };
        assert_eq!(ids(&list(&[], NOW_MS + 1_999)), Vec::<String>::new());
        assert_eq!(ids(&list(&[], NOW_MS + 2_000)), ["c-0", "c-1", "c-2"]);
        let page = list(&[("page[size]", "2")], NOW_MS + 2_000);
        assert_eq!(ids(&page), ["c-0", "c-1"]);
        let next = &page.body.as_ref().expect("a list")["links"]["next"];
        assert_eq!(next, "/api/events?page%5Bsize%5D=2&page%5Bcursor%5D=2");
        assert_eq!(ids(&list(&[("page[size]", "2"), ("page[cursor]", "2")], NOW_MS + 2_000)), ["c-2"]);
        assert_eq!(list(&[("filter", "anything")], NOW_MS).status, 400);
    }
}
