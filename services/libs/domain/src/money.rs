//! Exact amounts: an integer of the currency's smallest unit, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// ISO 4217, three capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three capitals")
    }

    /// Digits after the decimal point of one major unit (ISO 4217, list one).
    #[must_use]
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Currency, MoneyError> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| MoneyError::Currency(text.into()))?;
        if code.iter().all(u8::is_ascii_uppercase) {
            Ok(Currency(code))
        } else {
            Err(MoneyError::Currency(text.into()))
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An amount in the smallest unit of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyError {
    Currency(String),
    Amount(String),
    /// More digits than the currency has.
    Precision {
        amount: String,
        currency: Currency,
    },
    Overflow(String),
}

impl fmt::Display for MoneyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoneyError::Currency(text) => write!(formatter, "read {text:?} as a currency: expected three capitals"),
            MoneyError::Amount(text) => write!(formatter, "read {text:?} as an amount: expected digits and a point"),
            MoneyError::Precision { amount, currency } => {
                write!(formatter, "read {amount:?} exactly: {currency:?} has {} decimals", currency.exponent())
            }
            MoneyError::Overflow(text) => write!(formatter, "read {text:?}: it is beyond 64 bits of minor units"),
        }
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    /// Reads decimal text such as `19.99`, digit by digit. Zeroes beyond the
    /// currency's decimals are accepted, other digits there are not.
    ///
    /// # Errors
    ///
    /// The text is no decimal number, or no exact amount of this currency.
    pub fn parse(amount: &str, currency: Currency) -> Result<Money, MoneyError> {
        let malformed = || MoneyError::Amount(amount.into());
        let (sign, digits) = match amount.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, amount),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return Err(malformed());
        }
        let exponent = currency.exponent() as usize;
        let (kept, beyond) = fraction.split_at(fraction.len().min(exponent));
        if beyond.bytes().any(|byte| byte != b'0') {
            return Err(MoneyError::Precision { amount: amount.into(), currency });
        }
        let padding = exponent - kept.len();
        whole
            .bytes()
            .chain(kept.bytes())
            .chain(std::iter::repeat_n(b'0', padding))
            .try_fold(0_i64, |minor, digit| minor.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0')))
            .map(|minor| Money { minor, currency })
            .ok_or_else(|| MoneyError::Overflow(amount.into()))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent() as usize;
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let point = if exponent == 0 { "" } else { "." };
        write!(formatter, "{sign}{whole}{point}{fraction} {}", self.currency.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(amount: &str, currency: &str, minor: i64, shown: &str) {
        let money = Money::parse(amount, currency.parse().unwrap()).unwrap();
        assert_eq!((money.minor, money.to_string().as_str()), (minor, shown));
    }

    #[test]
    fn amounts_are_read_digit_by_digit() {
        check("19.99", "USD", 1999, "19.99 USD");
        check("0.1", "EUR", 10, "0.10 EUR");
        check("1999", "JPY", 1999, "1999 JPY");
        check("1999.00", "JPY", 1999, "1999 JPY");
        check("1.234", "KWD", 1234, "1.234 KWD");
        check("-0.05", "USD", -5, "-0.05 USD");
        check("100", "XOF", 100, "100 XOF");
        check("-92233720368547758.08", "USD", i64::MIN, "-92233720368547758.08 USD");
    }

    #[test]
    fn what_is_no_exact_amount_is_refused() {
        let usd: Currency = "USD".parse().unwrap();
        assert!(matches!(Money::parse("0.00125", usd), Err(MoneyError::Precision { .. })));
        assert!(matches!(Money::parse("1e3", usd), Err(MoneyError::Amount(_))));
        assert!(matches!(Money::parse("", usd), Err(MoneyError::Amount(_))));
        assert!(matches!(Money::parse("92233720368547758.08", usd), Err(MoneyError::Overflow(_))));
        assert!("usd".parse::<Currency>().is_err());
        assert!("US".parse::<Currency>().is_err());
    }
}
