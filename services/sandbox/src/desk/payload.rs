//! Tickets and messages, as the API has them and as templates render them.
//!
//! A merchant writes the templates. Three are met here, one drawn for each
//! delivery: the whole context, every value as text, and a hint of ids alone.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::{python_micros, python_naive};
use crate::life::{Happening, Moment, Ticket, Visit};

/// The address the shop is written to.
const SHOP_EMAIL: &str = "support@example.com";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trigger {
    TicketCreated,
    MessageCreated,
    StatusUpdated,
}

impl Trigger {
    pub(crate) const ALL: [Trigger; 3] = [Trigger::TicketCreated, Trigger::MessageCreated, Trigger::StatusUpdated];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Trigger::TicketCreated => "ticket-created",
            Trigger::MessageCreated => "ticket-message-created",
            Trigger::StatusUpdated => "ticket-status-updated",
        }
    }
}

/// How far a ticket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Opened,
    Answered,
    Closed,
}

/// What an integration sends: trigger, ticket and body; `None` where the helpdesk
/// has no part in it.
pub(crate) fn delivery(happening: &Happening, domain: &str, seed: u64) -> Option<(Trigger, Ticket, Stage, String)> {
    let visit = &*happening.visit;
    let ticket = visit.ticket?;
    let (trigger, stage) = match happening.moment {
        Moment::TicketOpened => (Trigger::TicketCreated, Stage::Opened),
        Moment::TicketAnswered => (Trigger::MessageCreated, Stage::Answered),
        Moment::TicketClosed => (Trigger::StatusUpdated, Stage::Closed),
        Moment::Cart { .. } | Moment::Checkout { .. } | Moment::Ordered { .. } | Moment::Cancelled { .. } => {
            return None;
        }
    };
    let mut chance = Chance::of(seed, "template", &[&ticket.id.to_be_bytes(), trigger.as_str().as_bytes()]);
    let body = match chance.between(0, 2) {
        0 => whole_context(visit, &ticket, stage, trigger, domain),
        1 => as_text(visit, &ticket, stage, trigger),
        _ => hint(&ticket, trigger),
    };
    Some((trigger, ticket, stage, body.to_string()))
}

/// `{{context}}`.
fn whole_context(visit: &Visit, ticket: &Ticket, stage: Stage, trigger: Trigger, domain: &str) -> Value {
    let whole = resource(visit, ticket, stage, domain);
    match trigger {
        Trigger::TicketCreated => json!({ "ticket": whole, "message": question(visit, ticket) }),
        Trigger::MessageCreated => json!({ "ticket": whole, "message": answer(visit, ticket) }),
        Trigger::StatusUpdated => json!({ "ticket": whole, "message": null }),
    }
}

/// A template of many members: ids and booleans are text, times have no offset,
/// nothing is `None`.
fn as_text(visit: &Visit, ticket: &Ticket, stage: Stage, trigger: Trigger) -> Value {
    let customer = &visit.customer;
    if trigger == Trigger::MessageCreated {
        return json!({
            "id": answer_id(ticket).to_string(),
            "ticket_id": ticket.id.to_string(),
            "channel": "email",
            "public": "True",
            "from_agent": "True",
            "sender": { "id": "7", "email": SHOP_EMAIL, "name": "Support" },
            "receiver": { "id": customer.desk_id.to_string(), "email": customer.email },
            "body_text": answer_text(visit),
            "stripped_text": "None",
            "external_id": "None",
            "created_datetime": python_naive(ticket.answered_at_ms),
        });
    }
    json!({
        "id": ticket.id.to_string(),
        "external_id": "None",
        "status": status(stage),
        "channel": "email",
        "spam": "False",
        "subject": subject(visit),
        "customer": { "id": customer.desk_id.to_string(), "email": customer.email },
        "created_datetime": python_naive(ticket.opened_at_ms),
        "updated_datetime": python_naive(updated_at_ms(ticket, stage)),
        "snooze_datetime": "None",
        "trashed_datetime": "None",
    })
}

/// The ids and nothing else: whoever gets this fetches the ticket.
fn hint(ticket: &Ticket, trigger: Trigger) -> Value {
    match trigger {
        Trigger::TicketCreated => {
            json!({ "ticket_id": ticket.id.to_string(), "message_id": question_id(ticket).to_string() })
        }
        Trigger::MessageCreated => {
            json!({ "ticket_id": ticket.id.to_string(), "message_id": answer_id(ticket).to_string(), "from_agent": "True" })
        }
        Trigger::StatusUpdated => json!({ "ticket_id": ticket.id.to_string() }),
    }
}

/// The ticket as `GET /api/tickets/{id}` answers it.
pub(crate) fn resource(visit: &Visit, ticket: &Ticket, stage: Stage, domain: &str) -> Value {
    let customer = &visit.customer;
    let mut channels = vec![json!({ "type": "email", "address": customer.email, "preferred": true })];
    channels
        .extend(customer.phone.as_ref().map(|phone| json!({ "type": "phone", "address": phone, "preferred": false })));
    let mut messages = vec![question(visit, ticket)];
    if stage >= Stage::Answered {
        messages.push(answer(visit, ticket));
    }
    json!({
        "account": { "domain": domain },
        "id": ticket.id,
        "uri": format!("/api/tickets/{}/", ticket.id),
        "external_id": null,
        "status": status(stage),
        "channel": "email",
        "via": "email",
        "priority": "normal",
        "spam": false,
        "from_agent": false,
        "language": "en",
        "subject": subject(visit),
        "customer": {
            "id": customer.desk_id,
            "email": customer.email,
            "name": customer.name(),
            "firstname": customer.first_name,
            "lastname": customer.last_name,
            "channels": channels,
        },
        "assignee_user": if stage >= Stage::Answered { json!({ "id": 7, "email": SHOP_EMAIL, "name": "Support" }) } else { Value::Null },
        "assignee_team": null,
        "tags": [],
        "messages": messages,
        "messages_count": messages.len(),
        "created_datetime": python_micros(ticket.opened_at_ms),
        "opened_datetime": python_micros(ticket.opened_at_ms),
        "last_received_message_datetime": python_micros(ticket.opened_at_ms),
        "last_message_datetime": python_micros(ticket.answered_at_ms.min(updated_at_ms(ticket, stage))),
        "updated_datetime": python_micros(updated_at_ms(ticket, stage)),
        "closed_datetime": if stage == Stage::Closed { json!(python_micros(ticket.closed_at_ms)) } else { Value::Null },
        "snooze_datetime": null,
        "trashed_datetime": null,
        "satisfaction_survey": null,
    })
}

fn question(visit: &Visit, ticket: &Ticket) -> Value {
    let customer = &visit.customer;
    json!({
        "id": question_id(ticket),
        "ticket_id": ticket.id,
        "external_id": null,
        "channel": "email",
        "via": "email",
        "public": true,
        "from_agent": false,
        "sender": { "id": customer.desk_id, "email": customer.email, "name": customer.name() },
        "receiver": { "id": 7, "email": SHOP_EMAIL, "name": "Support" },
        "source": {
            "type": "email",
            "from": { "address": customer.email, "name": customer.name() },
            "to": [{ "address": SHOP_EMAIL, "name": "Support" }],
        },
        "subject": subject(visit),
        "body_text": "Hello,\nI have a question about my order.\n\nOn Monday you wrote: …",
        "stripped_text": "Hello,\nI have a question about my order.",
        "attachments": [],
        "created_datetime": python_micros(ticket.opened_at_ms),
        "sent_datetime": null,
    })
}

fn answer(visit: &Visit, ticket: &Ticket) -> Value {
    let customer = &visit.customer;
    json!({
        "id": answer_id(ticket),
        "ticket_id": ticket.id,
        "external_id": null,
        "channel": "email",
        "via": "helpdesk",
        "public": true,
        "from_agent": true,
        "sender": { "id": 7, "email": SHOP_EMAIL, "name": "Support" },
        "receiver": { "id": customer.desk_id, "email": customer.email, "name": customer.name() },
        "source": {
            "type": "email",
            "from": { "address": SHOP_EMAIL, "name": "Support" },
            "to": [{ "address": customer.email, "name": customer.name() }],
        },
        "subject": subject(visit),
        "body_text": answer_text(visit),
        "stripped_text": null,
        "attachments": [],
        "created_datetime": python_micros(ticket.answered_at_ms),
        "sent_datetime": python_micros(ticket.answered_at_ms),
    })
}

fn status(stage: Stage) -> &'static str {
    if stage == Stage::Closed { "closed" } else { "open" }
}

fn updated_at_ms(ticket: &Ticket, stage: Stage) -> i64 {
    match stage {
        Stage::Opened => ticket.opened_at_ms + 27,
        Stage::Answered => ticket.answered_at_ms,
        Stage::Closed => ticket.closed_at_ms,
    }
}

fn subject(visit: &Visit) -> String {
    format!("Question about \"{}\"", if visit.number.is_multiple_of(2) { "my order" } else { "delivery / returns" })
}

fn answer_text(visit: &Visit) -> String {
    format!("Dear {},\nit is on its way.", visit.customer.first_name)
}

fn question_id(ticket: &Ticket) -> u64 {
    ticket.id * 4 + 1
}

fn answer_id(ticket: &Ticket) -> u64 {
    ticket.id * 4 + 2
}
