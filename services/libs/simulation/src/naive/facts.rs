//! All records so far, and the time each was recorded at.

use tradewind_domain::{Body, ClockAdjusted, Envelope, FactId, LineageKind, Tenant, Timestamp};

/// A producer's clock bounds the append time, with this much to spare.
const PRODUCER_AHEAD_MS: i64 = 60_000;

/// Orders what is said about one object.
pub(super) type Version = (Timestamp, FactId);

#[derive(Debug)]
pub(super) struct Record {
    /// What it says: of an unparking, the fact that was parked.
    pub(super) envelope: Envelope,
    /// The unparking that carries it.
    carrier: Option<Envelope>,
    /// By the log's clock; an unparked fact brings its own time.
    pub(super) at: Timestamp,
    /// After it.
    pub(super) watermark: Timestamp,
}

impl Record {
    pub(super) fn version(&self) -> Version {
        (self.envelope.fact.occurred_at, self.envelope.id)
    }

    pub(super) fn body(&self) -> &Body {
        &self.envelope.fact.body
    }

    /// As it stands on the log.
    pub(super) fn stored(&self) -> &Envelope {
        self.carrier.as_ref().unwrap_or(&self.envelope)
    }
}

#[derive(Debug, Default)]
pub(super) struct Facts(Vec<Record>);

impl Facts {
    /// The record as it was read, with the watermark.
    pub(super) fn append(&mut self, envelope: Envelope) -> &Record {
        let earlier = self.0.iter().map(Record::stored);
        let clock = Clock::after(earlier.chain([&envelope]));
        let at = if envelope.imported { envelope.recorded_at } else { clock.log_time(real_time(&envelope)) };
        let watermark = self.watermark().max(at);
        let record = if let Body::FactUnparked(unparked) = &envelope.fact.body {
            let parked = Envelope::clone(&unparked.envelope);
            Record { at: parked.recorded_at, envelope: parked, carrier: Some(envelope), watermark }
        } else {
            Record { envelope, carrier: None, at, watermark }
        };
        self.0.push(record);
        self.0.last().expect("it was just appended")
    }

    pub(super) fn watermark(&self) -> Timestamp {
        self.0.last().map_or(Timestamp::MIN, |record| record.watermark)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }

    pub(super) fn of(&self, tenant: &Tenant) -> impl Iterator<Item = &Record> {
        self.0.iter().filter(move |record| record.envelope.tenant == *tenant)
    }
}

fn real_time(envelope: &Envelope) -> Timestamp {
    envelope
        .produced_at
        .map_or(envelope.recorded_at, |produced_at| envelope.recorded_at.min(produced_at + PRODUCER_AHEAD_MS))
}

/// The log's time as a line over real time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    log_base: Timestamp,
    real_base: Timestamp,
    speed_permille: u32,
}

impl Clock {
    fn after<'a>(envelopes: impl Iterator<Item = &'a Envelope>) -> Clock {
        let zero = Timestamp::from_millis(0);
        let mut clock = Clock { log_base: zero, real_base: zero, speed_permille: 1_000 };
        let mut lineage = None;
        for envelope in envelopes {
            if let Body::LineageOpened(opened) = &envelope.fact.body {
                lineage.get_or_insert(opened.kind);
            } else if let Body::ClockAdjusted(ClockAdjusted { speed_permille, skip_ms }) = &envelope.fact.body
                && lineage == Some(LineageKind::Dev)
            {
                clock = Clock {
                    log_base: clock.log_time(envelope.recorded_at) + (*skip_ms).max(0),
                    real_base: envelope.recorded_at,
                    speed_permille: (*speed_permille).max(1),
                };
            }
        }
        clock
    }

    fn log_time(self, real: Timestamp) -> Timestamp {
        let elapsed = i128::from(real.millis()) - i128::from(self.real_base.millis());
        let log = i128::from(self.log_base.millis()) + elapsed * i128::from(self.speed_permille) / 1_000;
        let bounded = log.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_millis(i64::try_from(bounded).expect("it was clamped"))
    }
}
