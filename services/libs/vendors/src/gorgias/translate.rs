//! Tickets and messages as facts.
//!
//! The body is whatever template the merchant's integration holds. A whole ticket
//! or message is read as it is; anything less is a hint, and the ticket is fetched.
//! A ticket brings only the messages it is asked for: repeating all of them with
//! every update would drown the ones that are new.

use sha2::{Digest as _, Sha256};
use tradewind_domain::{
    Body, CommandId, Direction, EntityKind, TicketChange, TicketMessaged, TicketStatus, TicketUpdated,
};

use super::{TRIGGER_HEADER, domain};
use crate::draft::{ADDRESS_BYTES_MAX, Connection, Draft, Names, personal};
use crate::inbound::{Fetched, Misunderstood, Translation, Verified};
use crate::instant;
use crate::json::Object;
use crate::outbound::{Method, Request};

/// What commands of ours put before their id in `external_id`.
const OUR_PREFIX: &str = "tw-";

/// A ticket that was last changed so soon after its creation is a new one, where
/// nothing names the trigger. In the samples it is 27 ms.
const NEW_MS: i64 = 1_000;

/// Longer than any name of a channel seen.
const CHANNEL_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    TicketCreated,
    TicketUpdated,
    MessageCreated,
}

/// Which message of a ticket is wanted beside the ticket.
#[derive(Clone, PartialEq, Eq)]
enum Wanted {
    None,
    /// Those a new ticket begins with.
    All,
    Newest,
    Message(String),
}

/// # Errors
///
/// The body is no ticket, no message, and doesn't say which ticket to fetch.
pub fn translate(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Translation, Misunderstood> {
    let context = Object::parse(verified.body())?;
    let trigger = match named_trigger(verified, &context)? {
        Named::Trigger(trigger) => Some(trigger),
        Named::Unlisted(topic) => return Ok(Translation::not_in_catalogue(&topic)),
        Named::Nothing => None,
    };
    expect_own_account(&context, connection)?;
    if is_ticket(&context) {
        let wanted = wanted_of_whole(&context, trigger)?;
        let digest = digest(verified.body());
        return Ok(Translation::Facts(ticket_and_messages(&context, trigger, digest, &wanted, connection)?));
    }
    if is_message(&context) && is_given(&context, "ticket_id") {
        let ticket_id = ticket_id(&context, "ticket_id")?;
        return Ok(Translation::Facts(vec![message(&context, &ticket_id, connection)?]));
    }
    // The context object that Gorgias renders whole: a ticket, and the message that changed it if one did.
    let nested_message = context.object_if_any("message");
    let is_whole = nested_message.as_ref().is_none_or(is_message);
    if let Some(ticket) = context.object_if_any("ticket").filter(|ticket| is_whole && is_ticket(ticket)) {
        expect_own_account(&ticket, connection)?;
        let wanted = match (&nested_message, trigger) {
            (Some(_), Some(Trigger::MessageCreated)) => Wanted::None,
            _ => wanted_of_whole(&ticket, trigger)?,
        };
        let digest = digest(verified.body());
        let mut drafts = ticket_and_messages(&ticket, trigger, digest, &wanted, connection)?;
        if let Some(newest) = nested_message.filter(|_| trigger != Some(Trigger::TicketUpdated)) {
            let draft = message(&newest, &ticket_id(&ticket, "id")?, connection)?;
            if drafts.iter().all(|known| known.id != draft.id) {
                drafts.push(draft);
            }
        }
        return Ok(Translation::Facts(drafts));
    }
    // Read now only to refuse what no answer could mend.
    wanted_by_hint(&context, trigger)?;
    let id = hinted_ticket(&context, trigger)?;
    Ok(Translation::Fetch(Request {
        method: Method::Get,
        path: format!("/api/tickets/{id}"),
        headers: vec![("accept", "application/json")],
        body: Vec::new(),
    }))
}

/// Reads the ticket that a hint led to. It may be another one than asked for:
/// a merged ticket answers with the one that remained.
///
/// # Errors
///
/// The answer is no ticket, or lacks the message that the hint named.
pub fn translate_fetched(
    verified: &Verified<'_>,
    fetched: Fetched<'_>,
    connection: &Connection<'_>,
) -> Result<Translation, Misunderstood> {
    if fetched.status != 200 {
        return Err(Misunderstood::new("fetch_refused", format!("status 200 for the ticket, got {}", fetched.status)));
    }
    let hint = Object::parse(verified.body())?;
    let trigger = match named_trigger(verified, &hint)? {
        Named::Trigger(trigger) => Some(trigger),
        Named::Unlisted(topic) => return Ok(Translation::not_in_catalogue(&topic)),
        Named::Nothing => None,
    };
    let ticket = Object::parse(fetched.body)?;
    if !is_ticket(&ticket) {
        return Err(Misunderstood::new(
            "another_shape",
            "a ticket as the answer: id, status, created_ and updated_datetime",
        ));
    }
    expect_own_account(&ticket, connection)?;
    let wanted = wanted_by_hint(&hint, trigger)?;
    Ok(Translation::Facts(ticket_and_messages(&ticket, trigger, digest(fetched.body), &wanted, connection)?))
}

enum Named {
    Trigger(Trigger),
    /// A trigger that nothing in the catalogue stands for.
    Unlisted(String),
    Nothing,
}

/// The trigger by our header, by the member `trigger` of our template, or by the
/// member `event` of other people's.
fn named_trigger(verified: &Verified<'_>, context: &Object<'_>) -> Result<Named, Misunderstood> {
    let ours = match verified.header(TRIGGER_HEADER).filter(|word| !word.is_empty()) {
        Some(word) => Some(word.to_owned()),
        None => context.id("trigger")?,
    };
    if let Some(word) = ours {
        return Ok(trigger(&word).map_or(Named::Unlisted(word), Named::Trigger));
    }
    let theirs = context.id("event").ok().flatten();
    Ok(theirs.and_then(|word| trigger(&word)).map_or(Named::Nothing, Named::Trigger))
}

fn trigger(word: &str) -> Option<Trigger> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    match word.strip_prefix("ticket-").unwrap_or(&word) {
        "created" => Some(Trigger::TicketCreated),
        "updated" | "status-updated" | "assignment-updated" | "self-unsnoozed" | "handed-over" => {
            Some(Trigger::TicketUpdated)
        }
        "message-created" | "internal-note-created" => Some(Trigger::MessageCreated),
        _ => None,
    }
}

/// A whole ticket, not a template's few members of one.
fn is_ticket(object: &Object<'_>) -> bool {
    ["id", "status", "created_datetime", "updated_datetime"].into_iter().all(|name| is_given(object, name))
        && !object.has("ticket_id")
}

fn is_message(object: &Object<'_>) -> bool {
    ["id", "from_agent", "created_datetime"].into_iter().all(|name| is_given(object, name))
}

/// There, and neither blank nor the `None` of a rendered template.
fn is_given(object: &Object<'_>, name: &str) -> bool {
    object.has(name) && !matches!(object.filled(name).as_ref().map(Option::as_deref), Ok(None | Some("None")))
}

/// Gorgias' ids are numbers. This one goes into an address, so it is nothing else.
fn ticket_id(object: &Object<'_>, name: &str) -> Result<String, Misunderstood> {
    let id = object.required(name, object.id(name)?)?;
    if is_number(&id) { Ok(id) } else { Err(object.malformed(name, "a ticket's number")) }
}

fn is_number(id: &str) -> bool {
    (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn hinted_ticket(context: &Object<'_>, trigger: Option<Trigger>) -> Result<String, Misunderstood> {
    if is_given(context, "ticket_id") {
        return ticket_id(context, "ticket_id");
    }
    for (object, name) in [("ticket", "id"), ("message", "ticket_id")] {
        if let Some(object) = context.object_if_any(object).filter(|object| is_given(object, name)) {
            return ticket_id(&object, name);
        }
    }
    let is_about_a_ticket = matches!(trigger, Some(Trigger::TicketCreated | Trigger::TicketUpdated));
    if is_about_a_ticket && is_given(context, "id") {
        return ticket_id(context, "id");
    }
    Err(Misunderstood::new("missing", "ticket_id or ticket.id"))
}

/// Of a ticket that came whole.
fn wanted_of_whole(ticket: &Object<'_>, trigger: Option<Trigger>) -> Result<Wanted, Misunderstood> {
    Ok(match trigger {
        Some(Trigger::TicketCreated) => Wanted::All,
        Some(Trigger::MessageCreated) => Wanted::Newest,
        Some(Trigger::TicketUpdated) => Wanted::None,
        None if is_new(ticket)? => Wanted::All,
        None => Wanted::None,
    })
}

fn wanted_by_hint(hint: &Object<'_>, trigger: Option<Trigger>) -> Result<Wanted, Misunderstood> {
    // `message_id` is the message's number in our template, and an e-mail's own id in Gorgias' messages.
    let flat = hint.id("message_id")?.filter(|id| is_number(id));
    let nested = hint.object_if_any("message");
    let named = match (flat, &nested) {
        (Some(id), _) => Some(id),
        (None, Some(message)) => message.id("id")?.filter(|id| is_number(id)),
        (None, None) => None,
    };
    let speaks_of_a_message =
        trigger == Some(Trigger::MessageCreated) || nested.is_some() || is_given(hint, "from_agent");
    Ok(match (named, trigger) {
        (Some(id), _) => Wanted::Message(id),
        (None, Some(Trigger::TicketCreated)) => Wanted::All,
        (None, _) if speaks_of_a_message => Wanted::Newest,
        (None, _) => Wanted::None,
    })
}

fn ticket_and_messages(
    ticket: &Object<'_>,
    trigger: Option<Trigger>,
    digest: [u8; 16],
    wanted: &Wanted,
    connection: &Connection<'_>,
) -> Result<Vec<Draft>, Misunderstood> {
    let id = ticket_id(ticket, "id")?;
    let mut drafts = vec![ticket_updated(ticket, &id, trigger, digest, connection)?];
    let messages = || ticket.objects("messages");
    match wanted {
        Wanted::None => {}
        Wanted::All => {
            for each in messages()? {
                drafts.push(message(&each, &id, connection)?);
            }
        }
        Wanted::Newest => {
            let mut drafted =
                messages()?.iter().map(|each| message(each, &id, connection)).collect::<Result<Vec<_>, _>>()?;
            drafted.sort_by_key(|draft| draft.fact.occurred_at);
            drafts.extend(drafted.pop());
        }
        Wanted::Message(wanted) => {
            for each in messages()? {
                if each.id("id")?.as_deref() == Some(wanted) {
                    drafts.push(message(&each, &id, connection)?);
                }
            }
            if drafts.len() == 1 {
                return Err(Misunderstood::new("missing", "the named message among the ticket's messages"));
            }
        }
    }
    Ok(drafts)
}

fn ticket_updated(
    ticket: &Object<'_>,
    id: &str,
    trigger: Option<Trigger>,
    digest: [u8; 16],
    connection: &Connection<'_>,
) -> Result<Draft, Misunderstood> {
    let read = |name| ticket.instant(name, instant::rfc3339_or_utc);
    let created_at = ticket.required("created_datetime", read("created_datetime")?)?;
    let updated_at = ticket.required("updated_datetime", read("updated_datetime")?)?;
    let status = status(ticket)?;
    let is_opened = match trigger {
        Some(Trigger::TicketCreated) => true,
        Some(Trigger::TicketUpdated | Trigger::MessageCreated) => false,
        None => is_new(ticket)?,
    };
    let change = match status {
        _ if is_opened => TicketChange::Opened,
        TicketStatus::Open => TicketChange::Updated,
        TicketStatus::Closed => TicketChange::Closed,
    };
    // A ticket is opened once and at one time, whatever a later fetch of it holds by then.
    let (version, occurred_at) = match change {
        TicketChange::Opened => ("opened".to_owned(), created_at),
        TicketChange::Updated | TicketChange::Closed => {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("{}:{hex}", updated_at.millis()), updated_at)
        }
    };
    let customer = match ticket.object("customer")? {
        Some(customer) => Some(customer),
        None => ticket.object("requester")?,
    };
    let mut names = Names::new(connection);
    let mut email = None;
    if let Some(customer) = &customer {
        email = customer.filled_within("email", ADDRESS_BYTES_MAX)?;
        names = names.at_vendor(EntityKind::Customer, customer.id("id")?.as_deref()).email(email.as_deref());
        for channel in customer.objects("channels")? {
            let address = channel.filled_within("address", ADDRESS_BYTES_MAX)?;
            names = match channel.filled("type")?.as_deref() {
                Some("email") => names.email(address.as_deref()),
                Some("phone" | "sms") => names.phone(address.as_deref()),
                Some(_) | None => names,
            };
        }
    }
    let body = Body::TicketUpdated(TicketUpdated {
        ticket: connection.key(EntityKind::Ticket, id),
        change,
        status,
        digest,
        created_at,
        channel: channel(ticket)?,
        names: names.finish(),
        subject: None,
        email: None,
    });
    let email = email.filter(|address| address.contains('@'));
    let personal = personal([("subject", ticket.filled("subject")?), ("email", email)]);
    let draft = connection.draft(id, &version, occurred_at, body, personal);
    Ok(Draft { caused_by: our_command(ticket)?, ..draft })
}

fn message(message: &Object<'_>, ticket_id: &str, connection: &Connection<'_>) -> Result<Draft, Misunderstood> {
    let id = message.required("id", message.id("id")?)?;
    let created_at = message.instant("created_datetime", instant::rfc3339_or_utc)?;
    let created_at = message.required("created_datetime", created_at)?;
    let from_agent = message.required("from_agent", message.flag("from_agent")?)?;
    let channel = channel(message)?;
    let is_note = &*channel == "internal-note" || message.flag("public")? == Some(false);
    let direction = match from_agent {
        _ if is_note => Direction::Note,
        true => Direction::Sent,
        false => Direction::Received,
    };
    // The customer's end of it. A note has none: both ends are the shop's staff.
    let (party, address) = match direction {
        Direction::Received => (message.object("sender")?, source_address(message, "from")?),
        Direction::Sent => (message.object("receiver")?, source_address(message, "to")?),
        Direction::Note => (None, None),
    };
    let email = party.as_ref().map_or(Ok(None), |party| party.filled_within("email", ADDRESS_BYTES_MAX))?;
    let address = email.or(address);
    let names = Names::new(connection)
        .at_vendor(EntityKind::Customer, party.as_ref().map_or(Ok(None), |party| party.id("id"))?.as_deref())
        .email(address.as_deref())
        .phone(address.as_deref());
    let body = Body::TicketMessaged(TicketMessaged {
        ticket: connection.key(EntityKind::Ticket, ticket_id),
        message_id: id.as_str().into(),
        direction,
        channel,
        names: names.finish(),
        body: None,
        email: None,
    });
    // Without the quoted history where Gorgias tells it apart.
    let text = match message.filled("stripped_text")? {
        Some(text) => Some(text),
        None => message.filled("body_text")?,
    };
    let email = address.filter(|address| address.contains('@'));
    let draft = connection.draft(ticket_id, &id, created_at, body, personal([("body", text), ("email", email)]));
    Ok(Draft { caused_by: our_command(message)?, ..draft })
}

/// `source.from` is one address, `source.to` a list of which the first counts.
fn source_address(message: &Object<'_>, end: &str) -> Result<Option<String>, Misunderstood> {
    let Some(source) = message.object("source")? else { return Ok(None) };
    match source.object_if_any(end) {
        Some(address) => address.filled_within("address", ADDRESS_BYTES_MAX),
        None => {
            let addresses = source.objects(end)?;
            addresses.first().map_or(Ok(None), |address| address.filled_within("address", ADDRESS_BYTES_MAX))
        }
    }
}

/// Whether somebody still waits for the shop. A snoozed ticket comes back by
/// itself, so it is open; a trashed one and spam are nobody's concern any more.
fn status(ticket: &Object<'_>) -> Result<TicketStatus, Misunderstood> {
    let word = ticket.filled("status")?.map(|word| word.trim().to_ascii_lowercase());
    let is_open = match word.as_deref() {
        Some("open") => true,
        Some("closed") => ticket.instant("snooze_datetime", instant::rfc3339_or_utc)?.is_some(),
        Some(_) | None => return Err(ticket.malformed("status", "open or closed")),
    };
    let is_discarded =
        ticket.instant("trashed_datetime", instant::rfc3339_or_utc)?.is_some() || ticket.flag("spam")? == Some(true);
    Ok(if is_open && !is_discarded { TicketStatus::Open } else { TicketStatus::Closed })
}

fn is_new(ticket: &Object<'_>) -> Result<bool, Misunderstood> {
    let read = |name| ticket.instant(name, instant::rfc3339_or_utc);
    let (created_at, updated_at) = (read("created_datetime")?, read("updated_datetime")?);
    Ok(created_at.zip(updated_at).is_some_and(|(created_at, updated_at)| updated_at.since(created_at) < NEW_MS))
}

/// The help desk's name of a kind of channel. It stands in clear for ever, so what
/// does not look like one is not kept.
fn channel(object: &Object<'_>) -> Result<Box<str>, Misunderstood> {
    let Some(channel) = object.id("channel")? else { return Ok("".into()) };
    let is_kind = channel.len() <= CHANNEL_BYTES_MAX
        && channel.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    Ok(if is_kind { channel.into() } else { "other".into() })
}

/// The command of ours that this came from, by the `external_id` we gave it.
fn our_command(object: &Object<'_>) -> Result<Option<CommandId>, Misunderstood> {
    let external_id = object.text("external_id")?;
    Ok(external_id.and_then(|id| id.strip_prefix(OUR_PREFIX)?.get(..36)?.parse().ok()))
}

/// A helpdesk's deliveries name its domain, and may be about no other.
fn expect_own_account(object: &Object<'_>, connection: &Connection<'_>) -> Result<(), Misunderstood> {
    let named = match object.object_if_any("account") {
        Some(account) => account.filled("domain")?,
        None => object.filled("account_domain")?,
    };
    let own = domain(connection.account.as_str());
    match named {
        // The domain of an unrendered template: what else it holds will say so.
        Some(named) if !named.contains("{{") && !domain(&named).eq_ignore_ascii_case(own) => {
            Err(Misunderstood::new("other_account", "the domain of the connection's account"))
        }
        Some(_) | None => Ok(()),
    }
}

fn digest(body: &[u8]) -> [u8; 16] {
    Sha256::digest(body)[..16].try_into().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_channel_only_what_may_be_a_kind_of_channel_is_kept() {
        let cases = [
            ("{}", ""),
            (r#"{"channel":"email"}"#, "email"),
            (r#"{"channel":"instagram-direct-message"}"#, "instagram-direct-message"),
            (r#"{"channel":"jane@example.com"}"#, "other"),
        ];
        for (ticket, expected) in cases {
            assert_eq!(&*channel(&Object::parse(ticket.as_bytes()).unwrap()).unwrap(), expected, "{ticket}");
        }
        let sentence = Object::parse(br#"{"channel":"call Jane back"}"#).unwrap();
        assert!(channel(&sentence).is_err(), "no id has spaces");
    }
}
