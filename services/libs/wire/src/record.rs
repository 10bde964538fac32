//! Facts as records of `tradewind.events`: key, headers, value.

use tradewind_domain::{Arrival, Body, Cause, Envelope, Fact, FactId, FactIdentity, Source, Tenant, Timestamp};
use tradewind_ports::{NewRecord, Record, TopicPartition};

use crate::common::ReadName;
use crate::error::{DecodeError, quoted};
use crate::fact;
use crate::headers::{self, CloudEvent, EventHeaders, READER_LEVEL, Writer};

/// A fact before it has a place on the log.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    pub tenant: Tenant,
    pub id: FactId,
    pub source: Source,
    pub arrival: Arrival,
    /// By the producer's clock.
    pub produced_at: Timestamp,
    /// Of an imported record: when it was first recorded, wherever that was.
    pub recorded_at: Option<Timestamp>,
    /// The epoch of the tenant's placement on this partition.
    pub placement: u32,
    /// The version of the translator; 0 for facts of our own.
    pub translation: u32,
    /// What led to it, where that is known.
    pub caused_by: Option<Cause>,
    pub fact: Fact,
}

impl NewFact {
    /// A fact of our own in a tenant's order, or in nobody's.
    #[must_use]
    pub fn ours(tenant: Tenant, placement: u32, id: FactId, at: Timestamp, body: Body) -> NewFact {
        NewFact {
            tenant,
            id,
            source: Source::ourselves(),
            arrival: Arrival::Live,
            produced_at: at,
            recorded_at: None,
            placement,
            translation: 0,
            caused_by: None,
            fact: Fact { occurred_at: at, body },
        }
    }

    /// A fact of our own about a partition, made at `at`.
    #[must_use]
    pub fn of_partition(partition: u32, at: Timestamp, body: Body) -> NewFact {
        let source = Source::ourselves();
        let id = FactId::derive(&FactIdentity {
            tenant: "",
            vendor: source.vendor.as_str(),
            account: source.account.as_str(),
            kind: body.kind(),
            object: &partition.to_be_bytes(),
            version: &at.millis().to_be_bytes(),
            item: b"",
        });
        NewFact::ours(Tenant::system(), 0, id, at, body)
    }
}

/// The record that brings `new` onto `tradewind.events`.
#[must_use]
pub fn event(new: &NewFact) -> NewRecord {
    let body = &new.fact.body;
    let mut writer = Writer::cloud_event(&CloudEvent {
        id: new.id,
        tenant: &new.tenant,
        vendor: new.source.vendor.as_str(),
        account: new.source.account.as_str(),
        kind: format_args!("{}", body.kind()),
        subject: body.about().map(|(about, _)| about),
        time: Some(new.fact.occurred_at),
    })
    .level(READER_LEVEL)
    .bytes(headers::ARRIVAL, arrival_word(new.arrival).as_bytes())
    .text(headers::PRODUCED_AT, new.produced_at.millis());
    if let Some(recorded_at) = new.recorded_at {
        writer = writer.text(headers::RECORDED_AT, recorded_at.millis());
    }
    writer = writer.text(headers::PLACEMENT, new.placement);
    if new.translation > 0 {
        writer = writer.text(headers::TRANSLATION, new.translation);
    }
    if let Some(cause) = new.caused_by {
        writer = writer.text(headers::CAUSED_BY, cause);
    }
    NewRecord { key: new.tenant.as_bytes().to_vec(), headers: writer.finish(), value: Some(fact::encode(&new.fact)) }
}

/// Adds to an event where the delivery lies that it was translated from.
pub fn name_delivery(event: &mut NewRecord, at: &TopicPartition, offset: u64) {
    let place = format!("{}/{}/{offset}", at.topic.name(), at.partition);
    event.headers.push(headers::RAW, place.as_bytes());
}

/// The fact of a record of `tradewind.events`, with its place and time.
///
/// # Errors
///
/// A newer release wrote it, or it is no event.
pub fn envelope(record: &Record) -> Result<Envelope, DecodeError> {
    let attributes = Attributes::of(record)?;
    let value = record.value.as_deref().ok_or(DecodeError::NoValue { message: "fact" })?;
    let fact = fact::decode(value)?;
    if !attributes.kind.is_empty() && attributes.kind != fact.body.kind().as_bytes() {
        return Err(headers::wrong(headers::TYPE, "the type of the value", attributes.kind));
    }
    Ok(Envelope {
        offset: record.offset,
        recorded_at: attributes.recorded_at,
        imported: attributes.imported,
        produced_at: attributes.produced_at,
        tenant: attributes.tenant,
        id: attributes.id,
        source: attributes.source,
        arrival: attributes.arrival,
        placement: attributes.placement,
        translation: attributes.translation,
        caused_by: attributes.caused_by,
        fact,
    })
}

/// What key and headers of an event say.
pub(crate) struct Attributes<'a> {
    pub(crate) tenant: Tenant,
    pub(crate) id: FactId,
    pub(crate) source: Source,
    pub(crate) kind: &'a [u8],
    pub(crate) min_reader: u32,
    pub(crate) arrival: Arrival,
    pub(crate) produced_at: Option<Timestamp>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) imported: bool,
    pub(crate) placement: u32,
    pub(crate) translation: u32,
    pub(crate) caused_by: Option<Cause>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(record: &'a Record) -> Result<Attributes<'a>, DecodeError> {
        const ID_EXPECTED: &str = "a UUID";
        let found = EventHeaders::of(&record.headers);
        // Before all else: a newer release may write the other headers otherwise.
        let min_reader = headers::min_reader(found.min_reader)?;
        headers::check_level(min_reader)?;
        let tenant = tenant(&record.key)?;
        let (vendor, account) = headers::source(found.source, &tenant)?;
        Ok(Attributes {
            tenant,
            id: headers::required(headers::ID, found.id, ID_EXPECTED)?,
            source: Source { vendor, account },
            kind: found.kind.unwrap_or_default(),
            min_reader,
            arrival: arrival(found.arrival)?,
            produced_at: headers::time(headers::PRODUCED_AT, found.produced_at)?,
            recorded_at: headers::time(headers::RECORDED_AT, found.recorded_at)?.unwrap_or(record.appended_at),
            imported: found.recorded_at.is_some(),
            placement: headers::required(headers::PLACEMENT, found.placement, "an epoch: a decimal number")?,
            translation: headers::optional(headers::TRANSLATION, found.translation, "a version: a decimal number")?
                .unwrap_or(0),
            caused_by: headers::optional(headers::CAUSED_BY, found.caused_by, "command/<uuid> or fact/<uuid>")?,
        })
    }
}

/// The tenant that a record's key names.
pub(crate) fn tenant(key: &[u8]) -> Result<Tenant, DecodeError> {
    std::str::from_utf8(key).ok().and_then(|name| Tenant::read(name).ok()).ok_or_else(|| DecodeError::Field {
        message: "record",
        path: "key".into(),
        expected: "a tenant: at most 190 of a-z, 0-9, dash, underscore and dot, not a dash alone, or nothing for the system",
        got: quoted(&String::from_utf8_lossy(key)).into(),
    })
}

const fn arrival_word(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Live => "live",
        Arrival::Recovered => "recovered",
        Arrival::Backfill => "backfill",
    }
}

fn arrival(value: Option<&[u8]>) -> Result<Arrival, DecodeError> {
    const EXPECTED: &str = "live, recovered or backfill";
    match value {
        Some(b"live") => Ok(Arrival::Live),
        Some(b"recovered") => Ok(Arrival::Recovered),
        Some(b"backfill") => Ok(Arrival::Backfill),
        Some(other) => Err(headers::wrong(headers::ARRIVAL, EXPECTED, other)),
        None => Err(headers::missing(headers::ARRIVAL, EXPECTED)),
    }
}
