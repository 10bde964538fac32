//! A shop's past orders in a file of four columns, as CDNOW's was published: the
//! customer, the day as `YYYYMMDD`, how many CDs, and what they cost in dollars.
//! A heading is allowed in the first line, empty lines anywhere.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead};

use tradewind_domain::{
    Account, Arrival, Body, Currency, EntityKey, EntityKind, Fact, FactId, FactIdentity, Line, Money, OrderPlaced,
    Source, Tenant, Timestamp, Vendor,
};
use tradewind_wire::record::NewFact;

/// In ids and entity keys; never changes.
const VENDOR: &str = "cdnow";

const CURRENCY: &str = "USD";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub customer: Box<str>,
    /// Counts the customer's orders in the file, from 1.
    pub ordinal: u32,
    /// As it stands in the file.
    pub day: Box<str>,
    pub placed_at: Timestamp,
    pub cds: u32,
    pub total: Money,
}

#[derive(Debug)]
pub enum OrderError {
    Read {
        line: u64,
        source: io::Error,
    },
    /// The line is no order.
    Line {
        line: u64,
        expected: &'static str,
        got: String,
    },
}

impl fmt::Display for OrderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Read { line, source } => write!(formatter, "read line {line} of the orders: {source}"),
            OrderError::Line { line, expected, got } => {
                write!(formatter, "understand line {line} of the orders: expected {expected}, got {got:?}")
            }
        }
    }
}

impl std::error::Error for OrderError {}

/// The orders of a file, line by line; the first error is the last item worth
/// looking at.
pub fn read(file: impl BufRead) -> impl Iterator<Item = Result<Order, OrderError>> {
    let mut orders_of: HashMap<Box<str>, u32> = HashMap::new();
    file.lines().zip(1_u64..).filter_map(move |(text, line)| {
        let text = match text {
            Ok(text) => text,
            Err(source) => return Some(Err(OrderError::Read { line, source })),
        };
        let is_heading = line == 1 && text.trim_start().starts_with("customer_id");
        if is_heading || text.trim().is_empty() {
            return None;
        }
        let order = parse(&text).map(|order| {
            let ordinal = orders_of.entry(order.customer.clone()).or_default();
            *ordinal += 1;
            Order { ordinal: *ordinal, ..order }
        });
        Some(order.map_err(|expected| OrderError::Line { line, expected, got: shortened(&text) }))
    })
}

fn parse(text: &str) -> Result<Order, &'static str> {
    let columns: Vec<&str> = text.split_whitespace().collect();
    let [customer, day, cds, dollars] = columns[..] else {
        return Err("four columns: customer, day, number of CDs, dollars");
    };
    let is_customer = customer.len() <= 32 && customer.bytes().all(|byte| byte.is_ascii_digit());
    if !is_customer {
        return Err("a customer: at most 32 digits");
    }
    let currency: Currency = CURRENCY.parse().expect("a currency");
    Ok(Order {
        customer: customer.into(),
        ordinal: 0,
        day: day.into(),
        placed_at: midnight(day).ok_or("a day as YYYYMMDD in the second column")?,
        cds: cds.parse().map_err(|_| "a whole number of CDs in the third column")?,
        total: Money::parse(dollars, currency).map_err(|_| "dollars with at most two decimals in the fourth column")?,
    })
}

/// The day's first millisecond in UTC.
fn midnight(day: &str) -> Option<Timestamp> {
    if day.len() != 8 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = day.parse().ok()?;
    let (year, month, day_of_month) = (number / 10_000, number / 100 % 100, number % 100);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month - 1).ok()?;
    if year < 1970 || !(1..=*lengths.get(month_index)?).contains(&day_of_month) {
        return None;
    }
    let leap_days = |before: i64| before / 4 - before / 100 + before / 400;
    let days_of_years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    let days_of_months: i64 = lengths[..month_index].iter().sum();
    Some(Timestamp::from_millis((days_of_years + days_of_months + day_of_month - 1) * DAY_MS))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The order as a fact of `tenant`: dated by the file, and recorded then, so that
/// it is the same fact whenever it is imported.
pub(crate) fn fact(
    order: &Order,
    tenant: &Tenant,
    account: &Account,
    placement: u32,
    produced_at: Timestamp,
) -> NewFact {
    let vendor = vendor();
    let id = format!("{}-{}", order.customer, order.ordinal);
    let line = Line {
        line_id: "1".into(),
        variant_id: "".into(),
        product_id: "".into(),
        sku: "cd".into(),
        title: "CD".into(),
        quantity: i64::from(order.cds),
        unit_price: None,
    };
    let body = Body::OrderPlaced(OrderPlaced {
        order: EntityKey::at_vendor(EntityKind::Order, &vendor, account, &id),
        lines: vec![line],
        total: Some(order.total),
        names: vec![EntityKey::at_vendor(EntityKind::Customer, &vendor, account, &order.customer)],
        email: None,
        phone: None,
        first_name: None,
        test: false,
        number: id.as_str().into(),
    });
    let fact_id = FactId::derive(&FactIdentity {
        tenant: tenant.as_str(),
        vendor: vendor.as_str(),
        account: account.as_str(),
        kind: body.kind(),
        object: id.as_bytes(),
        version: order.day.as_bytes(),
        item: b"",
    });
    NewFact {
        tenant: tenant.clone(),
        id: fact_id,
        source: Source { vendor, account: account.clone() },
        arrival: Arrival::Backfill,
        produced_at,
        recorded_at: Some(order.placed_at),
        placement,
        translation: 1,
        caused_by: None,
        fact: Fact { occurred_at: order.placed_at, body },
    }
}

pub(crate) fn vendor() -> Vendor {
    Vendor::new(VENDOR).expect("a vendor's name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(text: &str) -> Result<Vec<Order>, OrderError> {
        read(text.as_bytes()).collect()
    }

    #[test]
    fn a_customers_orders_are_counted_in_the_order_of_the_file() {
        let text = " customer_id  date number_of_cds  dollar_value\n 00002 19970112  1   12.00\n 00001 19970101  1   11.77\n\n 00002 19970112  5   77.00\n";
        let read = orders(text).unwrap();
        let shown: Vec<(&str, u32, i64, u32, i64)> =
            read.iter().map(|o| (&*o.customer, o.ordinal, o.placed_at.millis(), o.cds, o.total.minor)).collect();
        // Days from `date -u -d 1997-01-12 +%s`.
        assert_eq!(
            shown,
            [
                ("00002", 1, 853_027_200_000, 1, 1_200),
                ("00001", 1, 852_076_800_000, 1, 1_177),
                ("00002", 2, 853_027_200_000, 5, 7_700),
            ]
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        // From `date -u -d <day> +%s`.
        for (day, seconds) in
            [("19700101", 0), ("19980630", 899_164_800), ("20000229", 951_782_400), ("21000301", 4_107_542_400)]
        {
            assert_eq!(midnight(day), Some(Timestamp::from_millis(seconds * 1000)), "{day}");
        }
        for day in ["19970229", "19971301", "19970100", "1997011", "199701011", "+9970101", "19690101"] {
            assert_eq!(midnight(day), None, "{day}");
        }
    }

    #[test]
    fn a_line_that_is_no_order_is_named() {
        let expected_of = |line: &str| orders(&format!("1 19970101 1 11.77\n{line}\n")).unwrap_err().to_string();
        for (line, expected) in [
            ("1 19970101 1", "four columns"),
            ("1 19970101 1 2 3", "four columns"),
            ("x1 19970101 1 2", "a customer"),
            ("1 19970231 1 2", "a day as YYYYMMDD"),
            ("1 19970101 1.5 2", "a whole number of CDs"),
            ("1 19970101 1 2.001", "dollars with at most two decimals"),
            ("customer_id date number_of_cds dollar_value", "a customer"),
        ] {
            let said = expected_of(line);
            assert!(said.starts_with("understand line 2 of the orders: expected "), "{said}");
            assert!(said.contains(expected) && said.contains(line), "{said}");
        }
    }
}
