//! Headers: CloudEvents 1.0 in Kafka's binary mode, and ours, all of them text.
//! Names, order and meaning never change; new ones go to the end.

use std::fmt::{self, Display, Write};
use std::str::FromStr;

use tradewind_domain::{Account, EntityId, EntityKey, Tenant, Timestamp, Vendor};
use tradewind_ports::{Headers, Record};

use crate::common::ReadName;
use crate::error::{DecodeError, quoted};

/// What this release can read; records name the lowest level that may read them.
pub const READER_LEVEL: u32 = 1;

pub(crate) const ID: &str = "ce_id";
pub(crate) const SOURCE: &str = "ce_source";
pub(crate) const TYPE: &str = "ce_type";
pub(crate) const MIN_READER: &str = "tw-min-reader";
pub(crate) const ARRIVAL: &str = "tw-arrival";
pub(crate) const PRODUCED_AT: &str = "tw-produced-at";
pub(crate) const RECORDED_AT: &str = "tw-recorded-at";
pub(crate) const PLACEMENT: &str = "tw-placement";
pub(crate) const TRANSLATION: &str = "tw-translation";
pub(crate) const CAUSED_BY: &str = "tw-caused-by";
pub(crate) const RAW: &str = "tw-raw";
pub(crate) const POSITION: &str = "tw-position";
pub(crate) const LINEAGE: &str = "tw-lineage";

/// In place of no tenant: two slashes at its beginning would make a URI's first
/// segment a host.
const SYSTEM: &str = "-";

const CONTENT_TYPE: &str = "content-type";
const PROTOBUF: &[u8] = b"application/protobuf";

/// A longer subject is left off: a header holds 65,535 bytes at most, and a
/// vendor's id has no limit.
const LONGEST_SUBJECT: usize = 1024;

/// The headers of a record that is no CloudEvent of its own.
pub(crate) fn plain() -> Headers {
    Writer::new().level(READER_LEVEL).finish()
}

/// What CloudEvents says about a record.
pub(crate) struct CloudEvent<'a, I> {
    pub(crate) id: I,
    pub(crate) tenant: &'a Tenant,
    pub(crate) vendor: &'a str,
    pub(crate) account: &'a str,
    pub(crate) kind: fmt::Arguments<'a>,
    pub(crate) subject: Option<&'a EntityKey>,
    pub(crate) time: Option<Timestamp>,
}

/// Appends headers; the text of each is put together in one buffer.
pub(crate) struct Writer {
    headers: Headers,
    text: String,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer { headers: Headers::new(), text: String::with_capacity(64) }
    }

    /// The attributes in their order, up to the content type.
    pub(crate) fn cloud_event<I: Display>(event: &CloudEvent<'_, I>) -> Writer {
        let mut writer = Writer::new().bytes("ce_specversion", b"1.0").text(ID, &event.id);
        writer.text.clear();
        // Writing to a string can't fail.
        let tenant = if event.tenant.is_system() { SYSTEM } else { event.tenant.as_str() };
        let _ = write!(writer.text, "/{tenant}/{}/", event.vendor);
        let _ = Escaped(&mut writer.text).write_str(event.account);
        writer = writer.flush(SOURCE).text(TYPE, event.kind);
        if let Some(subject) = event.subject {
            writer.text.clear();
            write_subject(&mut writer.text, subject);
            if writer.text.len() <= LONGEST_SUBJECT {
                writer = writer.flush("ce_subject");
            }
        }
        if let Some(time) = event.time {
            writer.text.clear();
            if write_rfc3339(&mut writer.text, time) {
                writer = writer.flush("ce_time");
            }
        }
        writer.bytes(CONTENT_TYPE, PROTOBUF)
    }

    pub(crate) fn level(self, level: u32) -> Writer {
        self.text(MIN_READER, level)
    }

    pub(crate) fn text(mut self, name: &str, value: impl Display) -> Writer {
        self.text.clear();
        let _ = write!(self.text, "{value}");
        self.flush(name)
    }

    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Writer {
        self.headers.push(name, value);
        self
    }

    pub(crate) fn finish(self) -> Headers {
        self.headers
    }

    fn flush(mut self, name: &str) -> Writer {
        self.headers.push(name, self.text.as_bytes());
        self
    }
}

/// `<kind>/<vendor>/<account>/<id>` or `<kind>/<hash>`: a slash stands between
/// the parts and never within one.
fn write_subject(text: &mut String, subject: &EntityKey) {
    text.push_str(subject.kind().as_str());
    match subject.id() {
        EntityId::Vendor(id) => {
            for part in [subject.vendor(), subject.account(), id] {
                text.push('/');
                let _ = Escaped(text).write_str(part);
            }
        }
        EntityId::Hash(hash) => {
            let _ = write!(text, "/{hash:?}");
        }
    }
}

/// Percent-encodes what may not stand in a segment of a URI's path: everything
/// but the unreserved characters and `!$&'()*+,;=:@`, byte by byte of UTF-8.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                write!(self.0, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digit()? << 4 | digit()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

/// In UTC with milliseconds. False, and nothing written, for a year that has
/// not four digits.
fn write_rfc3339(text: &mut String, time: Timestamp) -> bool {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let (days, rest) = (time.millis().div_euclid(DAY_MS), time.millis().rem_euclid(DAY_MS));
    let (year, month, day) = civil_date(days);
    if !(0..=9999).contains(&year) {
        return false;
    }
    let (seconds, millis) = (rest / 1000, rest % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
    true
}

/// Year, month and day of a day since 1970 in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on the first of March, so that the
/// leap day is the last day of its year.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    const EPOCH_DAYS: i64 = 719_468;
    let since = days + EPOCH_DAYS;
    let (era, day_of_era) = (since.div_euclid(ERA_DAYS), since.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The headers of an event that are read, each the first of its name.
#[derive(Default)]
pub(crate) struct EventHeaders<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) source: Option<&'a [u8]>,
    pub(crate) kind: Option<&'a [u8]>,
    pub(crate) min_reader: Option<&'a [u8]>,
    pub(crate) arrival: Option<&'a [u8]>,
    pub(crate) produced_at: Option<&'a [u8]>,
    pub(crate) recorded_at: Option<&'a [u8]>,
    pub(crate) placement: Option<&'a [u8]>,
    pub(crate) translation: Option<&'a [u8]>,
    pub(crate) caused_by: Option<&'a [u8]>,
}

impl<'a> EventHeaders<'a> {
    pub(crate) fn of(headers: &'a Headers) -> EventHeaders<'a> {
        let mut found = EventHeaders::default();
        for (name, value) in headers.iter() {
            let slot = match name {
                ID => &mut found.id,
                SOURCE => &mut found.source,
                TYPE => &mut found.kind,
                MIN_READER => &mut found.min_reader,
                ARRIVAL => &mut found.arrival,
                PRODUCED_AT => &mut found.produced_at,
                RECORDED_AT => &mut found.recorded_at,
                PLACEMENT => &mut found.placement,
                TRANSLATION => &mut found.translation,
                CAUSED_BY => &mut found.caused_by,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        found
    }
}

/// The lowest level that may read the record; without the header, the first.
pub(crate) fn min_reader(value: Option<&[u8]>) -> Result<u32, DecodeError> {
    Ok(optional(MIN_READER, value, "a reader level: a decimal number")?.unwrap_or(1))
}

/// Fails if a newer release is needed to read the record.
pub(crate) fn check_level(needed: u32) -> Result<(), DecodeError> {
    if needed > READER_LEVEL { Err(DecodeError::NewerReader { needed }) } else { Ok(()) }
}

/// The value of a record that this release may read; `None` for a tombstone.
pub(crate) fn readable(record: &Record) -> Result<Option<&[u8]>, DecodeError> {
    check_level(min_reader(record.headers.get(MIN_READER))?)?;
    Ok(record.value.as_deref())
}

/// As [`readable`], where a tombstone makes no sense.
pub(crate) fn readable_value<'a>(message: &'static str, record: &'a Record) -> Result<&'a [u8], DecodeError> {
    readable(record)?.ok_or(DecodeError::NoValue { message })
}

pub(crate) fn optional<T: FromStr>(
    name: &'static str,
    value: Option<&[u8]>,
    expected: &'static str,
) -> Result<Option<T>, DecodeError> {
    value
        .map(|value| text(value).and_then(|text| text.parse().ok()).ok_or_else(|| wrong(name, expected, value)))
        .transpose()
}

pub(crate) fn required<T: FromStr>(
    name: &'static str,
    value: Option<&[u8]>,
    expected: &'static str,
) -> Result<T, DecodeError> {
    optional(name, value, expected)?.ok_or_else(|| missing(name, expected))
}

pub(crate) fn time(name: &'static str, value: Option<&[u8]>) -> Result<Option<Timestamp>, DecodeError> {
    Ok(optional(name, value, "milliseconds since 1970: a decimal number")?.map(Timestamp::from_millis))
}

/// Vendor and account of `/{tenant}/{vendor}/{account}`, whose tenant is the
/// record's key, or a dash for none.
pub(crate) fn source(value: Option<&[u8]>, tenant: &Tenant) -> Result<(Vendor, Account), DecodeError> {
    const EXPECTED: &str = "/{tenant}/{vendor}/{account}, of the tenant in the record's key or of - for none";
    let value = value.ok_or_else(|| missing(SOURCE, EXPECTED))?;
    let parse = || {
        let (named, rest) = text(value)?.strip_prefix('/')?.split_once('/')?;
        let (vendor, account) = rest.split_once('/').filter(|(_, account)| !account.contains('/'))?;
        let vendor = Vendor::read(vendor).ok()?;
        let account = if account.contains('%') { Account::read(&unescape(account)?) } else { Account::read(account) };
        let expected = if tenant.is_system() { SYSTEM } else { tenant.as_str() };
        (named == expected).then_some((vendor, account.ok()?))
    };
    parse().ok_or_else(|| wrong(SOURCE, EXPECTED, value))
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

pub(crate) fn wrong(name: &'static str, expected: &'static str, value: &[u8]) -> DecodeError {
    DecodeError::Header { name, expected, got: quoted(&String::from_utf8_lossy(value)) }
}

pub(crate) fn missing(name: &'static str, expected: &'static str) -> DecodeError {
    DecodeError::Header { name, expected, got: "none".into() }
}

#[cfg(test)]
mod tests {
    use tradewind_domain::{EntityKind, IdentifierHash};

    use super::*;

    fn shown(millis: i64) -> Option<String> {
        let mut text = String::new();
        write_rfc3339(&mut text, Timestamp::from_millis(millis)).then_some(text)
    }

    /// Expected values from `date -u -d @<seconds> +%FT%T`.
    #[test]
    fn times_are_written_as_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(shown(millis).as_deref(), Some(expected), "{millis}");
        }
    }

    #[test]
    fn a_year_without_four_digits_is_not_written() {
        for millis in [253_402_300_800_000, -62_167_219_200_001, i64::MAX, i64::MIN] {
            assert_eq!(shown(millis), None, "{millis}");
        }
    }

    #[test]
    fn an_account_of_any_characters_comes_back() {
        let tenant = Tenant::new("demo").unwrap();
        for (account, escaped) in [
            ("demo.myshopify.com", "demo.myshopify.com"),
            ("", ""),
            ("a/b", "a%2Fb"),
            ("50% off \"shop\"", "50%25%20off%20%22shop%22"),
            ("Müller?#", "M%C3%BCller%3F%23"),
        ] {
            let event = CloudEvent {
                id: 1,
                tenant: &tenant,
                vendor: "shopify",
                account,
                kind: format_args!("x"),
                subject: None,
                time: None,
            };
            let headers = Writer::cloud_event(&event).finish();
            assert_eq!(headers.text(SOURCE), Some(format!("/demo/shopify/{escaped}").as_str()));
            assert_eq!(source(headers.get(SOURCE), &tenant).unwrap().1.as_str(), account);
        }
    }

    #[test]
    fn a_subject_comes_apart_at_its_slashes() {
        let vendor = Vendor::new("shopify").unwrap();
        let subject = |account, id| {
            let mut text = String::new();
            let account = Account::new(account).unwrap();
            write_subject(&mut text, &EntityKey::at_vendor(EntityKind::Order, &vendor, &account, id));
            text
        };
        assert_eq!(
            subject("demo.example.com", "gid://shopify/Order/7"),
            "order/shopify/demo.example.com/gid:%2F%2Fshopify%2FOrder%2F7"
        );
        assert_ne!(subject("a/b", "c"), subject("a", "b/c"));
        let mut hashed = String::new();
        let email = EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([0xab; 16]));
        write_subject(&mut hashed, &email);
        assert_eq!(hashed, format!("email/{}", "ab".repeat(16)));
    }

    #[test]
    fn nobody_is_a_dash_in_a_source() {
        let of = |text: &str, tenant: &Tenant| source(Some(text.as_bytes()), tenant).is_ok();
        let (system, demo) = (Tenant::system(), Tenant::new("demo").unwrap());
        assert!(of("/-/tradewind/", &system));
        assert!(!of("//tradewind/", &system) && !of("/-/tradewind/", &demo) && !of("/demo/tradewind/", &system));
        assert!(!of("/demo/shopify/a/b", &demo));
    }

    #[test]
    fn a_torn_escape_is_no_account() {
        let tenant = Tenant::new("demo").unwrap();
        for source_text in ["/demo/shopify/%", "/demo/shopify/%2", "/demo/shopify/%zz", "/demo/shopify/%FF"] {
            assert!(source(Some(source_text.as_bytes()), &tenant).is_err(), "{source_text}");
        }
    }
}
