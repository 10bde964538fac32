//! The headers of a record, in one block of bytes: a batch of records costs one
//! allocation a record for them, not two a header.

use std::fmt;

/// Names and values in order. Encoded as length of the name (`u8`), name,
/// length of the value (big-endian `u16`), value.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers(Vec<u8>);

impl Headers {
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// With room for so many bytes of names, values and lengths.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Headers {
        Headers(Vec::with_capacity(bytes))
    }

    /// # Panics
    ///
    /// The name has over 255 bytes or the value over 65,535.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.0.push(u8::try_from(name.len()).expect("expected a header name of at most 255 bytes"));
        self.0.extend_from_slice(name.as_bytes());
        let length = u16::try_from(value.len()).expect("expected a header value of at most 65,535 bytes");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &[u8]) -> Headers {
        self.push(name, value);
        self
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// As [`Headers::get`], where it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (header, after) = split_header(rest)?;
            rest = after;
            Some(header)
        })
    }

    /// The block, for adapters that store it whole.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A stored block; `None` if it is not one.
    #[must_use]
    pub fn from_bytes(block: Vec<u8>) -> Option<Headers> {
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            rest = split_header(rest)?.1;
        }
        Some(Headers(block))
    }
}

type Header<'a> = (&'a str, &'a [u8]);

fn split_header(block: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (length, rest) = block.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_at_checked(2)?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
    Some(((std::str::from_utf8(name).ok()?, value), rest))
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_and_values() {
        let headers = Headers::new().with("ce_id", b"1").with("tw-raw", &[0, 255]).with("ce_id", b"2");
        assert_eq!(headers.get("ce_id"), Some(&b"1"[..]));
        assert_eq!(headers.text("tw-raw"), None);
        assert_eq!(headers.iter().count(), 3);
        assert_eq!(Headers::from_bytes(headers.as_bytes().to_vec()), Some(headers));
    }

    #[test]
    fn a_torn_block_is_no_headers() {
        let whole = Headers::new().with("ce_id", b"12").as_bytes().to_vec();
        for length in 1..whole.len() {
            assert_eq!(Headers::from_bytes(whole[..length].to_vec()), None, "{length}");
        }
    }
}
