//! Reading JSON that others wrote: absent and null are one, ids may be numbers or
//! text, booleans may be words, and numbers stay text, so that an id beyond 2^53
//! and an amount are read exactly. What is there and is of another type is an
//! error that says where, and never repeats the value.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tradewind_domain::Timestamp;

use crate::inbound::Misunderstood;

/// Longest id we take: they stand in keys and headers.
const ID_BYTES_MAX: usize = 255;

#[derive(Deserialize)]
struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

/// In the order in which they came. An object has few, and few of them are asked for.
struct Members<'a>(Vec<(MemberName<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Of two of one name the last one counts.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(MemberName(known), _)| known == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(pair) = pairs.next_entry()? {
                    members.push(pair);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// One JSON object whose members are still text.
pub(crate) struct Object<'a> {
    /// Where it stands in the delivery; empty at the top.
    path: String,
    members: Members<'a>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Object<'a>, Misunderstood> {
        // Checked as a whole: serde_json would check the bytes of each member again.
        let text = std::str::from_utf8(body).ok();
        text.and_then(|text| object(String::new(), text))
            .ok_or_else(|| Misunderstood::new("not_json", "a JSON object in UTF-8"))
    }

    /// Whether there is such a member, null or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some()
    }

    /// Text, or a number as its text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Misunderstood> {
        self.member(name).map(|raw| scalar(raw).ok_or_else(|| self.malformed(name, "text or a number"))).transpose()
    }

    /// As [`Object::text`]; blank counts as absent.
    pub(crate) fn filled(&self, name: &str) -> Result<Option<String>, Misunderstood> {
        Ok(self.text(name)?.filter(|text| !text.trim().is_empty()))
    }

    /// As [`Object::filled`]; what is longer counts as absent. For what comes to stand in commands and
    /// decisions, whose records are bounded.
    pub(crate) fn filled_within(&self, name: &str, bytes: usize) -> Result<Option<String>, Misunderstood> {
        Ok(self.filled(name)?.filter(|text| text.len() <= bytes))
    }

    /// An id: text or a whole number, exactly. Blank counts as absent, as does the
    /// `None` of a template rendered by Python. A number with a fraction or an
    /// exponent was rounded on its way and names something else by now.
    pub(crate) fn id(&self, name: &str) -> Result<Option<String>, Misunderstood> {
        let Some(raw) = self.member(name) else { return Ok(None) };
        let expected = "an id: text or a whole number, at most 255 bytes, without spaces";
        let is_number = !raw.starts_with('"');
        let id = scalar(raw).ok_or_else(|| self.malformed(name, expected))?;
        let id = id.trim();
        if is_blank(id) {
            return Ok(None);
        }
        if id.contains("{{") {
            return Err(Misunderstood::new(
                "unrendered",
                format!("{}: a value, not the template of one", self.at(name)),
            ));
        }
        let is_id = if is_number {
            id.strip_prefix('-').unwrap_or(id).bytes().all(|byte| byte.is_ascii_digit())
        } else {
            id.len() <= ID_BYTES_MAX
                && !id.contains(|character: char| character.is_control() || character.is_whitespace())
        };
        if is_id && id.len() <= ID_BYTES_MAX { Ok(Some(id.to_owned())) } else { Err(self.malformed(name, expected)) }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Misunderstood> {
        self.filled(name)?
            .map(|text| text.trim().parse().map_err(|_| self.malformed(name, "a whole number of 64 bits")))
            .transpose()
    }

    /// `true`, `false`, or one of them as a word in any case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Misunderstood> {
        let Some(raw) = self.member(name) else { return Ok(None) };
        let word = if raw.starts_with('"') { scalar(raw) } else { Some(raw.to_owned()) };
        let word = word.map(|word| word.trim().to_ascii_lowercase());
        match word.as_deref() {
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some("" | "none") => Ok(None),
            Some(_) | None => Err(self.malformed(name, "true or false")),
        }
    }

    /// A time, by the given reading of its text.
    pub(crate) fn instant(
        &self,
        name: &str,
        read: fn(&str) -> Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Misunderstood> {
        let Some(text) = self.filled(name)?.filter(|text| !is_blank(text)) else { return Ok(None) };
        read(text.trim()).map(Some).ok_or_else(|| self.malformed(name, "a time by RFC 3339"))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Object<'a>>, Misunderstood> {
        let Some(raw) = self.member(name) else { return Ok(None) };
        let path = self.at(name);
        object(path, raw).map(Some).ok_or_else(|| self.malformed(name, "an object"))
    }

    /// The member if it is an object; a member of another type counts as absent.
    pub(crate) fn object_if_any(&self, name: &str) -> Option<Object<'a>> {
        object(self.at(name), self.member(name)?)
    }

    /// The objects of an array; absent is empty.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Object<'a>>, Misunderstood> {
        let Some(raw) = self.member(name) else { return Ok(Vec::new()) };
        let elements: Vec<&'a RawValue> =
            serde_json::from_str(raw).map_err(|_| self.malformed(name, "an array of objects"))?;
        elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| {
                object(format!("{}[{index}]", self.at(name)), element.get())
                    .ok_or_else(|| self.malformed(name, "an array of objects"))
            })
            .collect()
    }

    /// Where a member stands, such as `line_items[2].price`.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn malformed(&self, name: &str, expected: &str) -> Misunderstood {
        Misunderstood::new("malformed", format!("{}: {expected}", self.at(name)))
    }

    /// The member must be there.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, Misunderstood> {
        value.ok_or_else(|| Misunderstood::new("missing", self.at(name)))
    }

    fn member(&self, name: &str) -> Option<&'a str> {
        self.members.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }
}

fn is_blank(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text == "None"
}

fn object(path: String, raw: &str) -> Option<Object<'_>> {
    serde_json::from_str(raw).ok().map(|members| Object { path, members })
}

/// The text of a string, or of a number as it was written.
fn scalar(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => lenient_text(raw),
        b'-' | b'0'..=b'9' => Some(raw.to_owned()),
        _ => None,
    }
}

/// Half of a surrogate pair, as left behind by whoever cut a text in the middle of
/// an emoji, becomes U+FFFD instead of failing the whole delivery.
fn lenient_text(raw: &str) -> Option<String> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("text")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            // The source was UTF-8, so only lone surrogates are not: three bytes each.
            Ok(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(bytes).replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}"),
            })
        }
    }

    serde_json::Deserializer::from_str(raw).deserialize_bytes(Text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant;

    fn parse(text: &str) -> Object<'_> {
        Object::parse(text.as_bytes()).unwrap()
    }

    fn reason<T>(result: Result<T, Misunderstood>) -> String {
        result.err().map(|misunderstood| format!("{}: {}", misunderstood.reason, misunderstood.expected)).unwrap()
    }

    #[test]
    fn ids_are_exact_whether_numbers_or_text() {
        let object = parse(
            r#"{"a": 820982911946154508, "b": "18446744073709551616", "c": 18446744073709551616, "d": null, "e": " ", "f": "None"}"#,
        );
        assert_eq!(object.id("a").unwrap().as_deref(), Some("820982911946154508"));
        assert_eq!(object.id("b").unwrap().as_deref(), Some("18446744073709551616"));
        assert_eq!(object.id("c").unwrap().as_deref(), Some("18446744073709551616"));
        for absent in ["d", "e", "f", "g"] {
            assert_eq!(object.id(absent).unwrap(), None, "{absent}");
        }
    }

    #[test]
    fn what_is_no_id_is_said_so() {
        let object = parse(r#"{"a": 8.2e17, "b": [1], "c": "a b", "d": "{{ticket.id}}", "e": {"f": true}}"#);
        for name in ["a", "b", "c"] {
            assert!(reason(object.id(name)).starts_with(&format!("malformed: {name}: an id")), "{name}");
        }
        assert_eq!(reason(object.id("d")), "unrendered: d: a value, not the template of one");
        assert!(reason(object.object("e").unwrap().unwrap().id("f")).starts_with("malformed: e.f: an id"));
    }

    #[test]
    fn booleans_may_be_words() {
        let object = parse(r#"{"a": true, "b": "True", "c": "false", "d": "None", "e": "yes", "f": 1}"#);
        let flags = ["a", "b", "c", "d"].map(|name| object.flag(name).unwrap());
        assert_eq!(flags, [Some(true), Some(true), Some(false), None]);
        assert!(object.flag("e").is_err() && object.flag("f").is_err());
    }

    #[test]
    fn text_keeps_what_can_be_kept() {
        let object =
            parse(r#"{"a": "https:\/\/example.com", "b": "caf\u00e9 \ud83d", "c": 19.90, "\u0064": "x", "d": "y"}"#);
        assert_eq!(object.text("a").unwrap().as_deref(), Some("https://example.com"));
        assert_eq!(object.text("b").unwrap().as_deref(), Some("café \u{fffd}"));
        assert_eq!(object.text("c").unwrap().as_deref(), Some("19.90"));
        assert_eq!(object.text("d").unwrap().as_deref(), Some("y"));
    }

    #[test]
    fn what_is_too_long_counts_as_absent() {
        let object = parse(r#"{"a": "four", "b": "five!"}"#);
        let names = ["a", "b"].map(|name| object.filled_within(name, 4).unwrap());
        assert_eq!(names, [Some("four".into()), None]);
    }

    #[test]
    fn an_error_names_the_place_and_not_the_value() {
        let object = parse(r#"{"lines": [{}, {"at": "ada@example.com"}]}"#);
        let lines = object.objects("lines").unwrap();
        assert_eq!(reason(lines[1].instant("at", instant::rfc3339)), "malformed: lines[1].at: a time by RFC 3339");
        assert!(Object::parse(b"[]").is_err() && Object::parse(b"{\"a\": \xff}").is_err());
    }
}
