//! Who may ask, and who may see personal data.
//!
//! The key comes once, as `?key=…`; from then on a cookie stands for it, which no
//! script can read and no other site can send. It lasts as long as this process.
//! Sessions are the only thing a request changes, so there is nothing for another
//! site to forge: a console that can act will need tokens of its own.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderMap, HeaderValue, Uri};
use subtle::ConstantTimeEq as _;
use tradewind_domain::{Digest, derive};

const COOKIE_NAME: &str = "tradewind_console";

/// The secret that opens personal data. It never prints itself.
#[derive(Clone)]
pub struct AccessKey(Digest);

impl AccessKey {
    /// Fewest bytes of a key: below it, one could be guessed.
    pub const MIN_BYTES: usize = 16;

    /// `None` if it is shorter than [`AccessKey::MIN_BYTES`].
    #[must_use]
    pub fn new(secret: &str) -> Option<AccessKey> {
        (secret.len() >= AccessKey::MIN_BYTES).then(|| AccessKey(digest(secret)))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessKey(…)")
    }
}

/// Compared in place of the secret, so that lengths are equal.
fn digest(secret: &str) -> Digest {
    derive("console key", &[secret.as_bytes()])
}

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything but what is sealed.
    Sealed,
    /// Sealed fields too.
    Opened,
}

/// A request that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) sight: Sight,
    /// It showed the key itself, and no cookie yet.
    pub(crate) by_key: bool,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It names a host that is not ours: a page elsewhere may have resolved its own
    /// name to our address.
    OtherHost,
    /// A page of another site asks.
    OtherSite,
    NoKey,
    WrongKey,
}

#[derive(Debug)]
pub(crate) struct Access {
    address: SocketAddr,
    hosts: Vec<String>,
    key: Option<AccessKey>,
    /// What the cookie must hold.
    session: String,
}

impl Access {
    /// `None` if others could reach the address and nothing would be asked of them.
    pub(crate) fn new(address: SocketAddr, hosts: &[String], key: Option<AccessKey>) -> Option<Access> {
        if key.is_none() && !is_loopback(address.ip()) {
            return None;
        }
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let session = key.as_ref().map(session).unwrap_or_default();
        Some(Access { address, hosts, key, session })
    }

    /// Judges a request by its head.
    pub(crate) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Refused> {
        if !self.is_our_host(headers) {
            return Err(Refused::OtherHost);
        }
        if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
            && headers.get("sec-fetch-mode").is_none_or(|mode| mode != "navigate")
        {
            return Err(Refused::OtherSite);
        }
        if let Some(shown) = shown_key(uri) {
            // Where nobody set a key, none fits.
            let fits = self.key.as_ref().is_some_and(|key| digest(&shown).ct_eq(&key.0).into());
            return if fits { Ok(Admitted { sight: Sight::Opened, by_key: true }) } else { Err(Refused::WrongKey) };
        }
        if self.key.is_some() && self.has_session(headers) {
            return Ok(Admitted { sight: Sight::Opened, by_key: false });
        }
        if is_loopback(self.address.ip()) {
            return Ok(Admitted { sight: Sight::Sealed, by_key: false });
        }
        Err(Refused::NoKey)
    }

    /// The cookie that stands for the key from now on.
    pub(crate) fn cookie(&self) -> HeaderValue {
        let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", self.session);
        HeaderValue::from_str(&cookie).expect("hexadecimal digits and plain words")
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|cookies| cookies.to_str().ok());
        let ours = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
        ours.into_iter().any(|session| session.as_bytes().ct_eq(self.session.as_bytes()).into())
    }

    fn is_our_host(&self, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(HOST).into_iter();
        let (Some(host), None) = (named.next(), named.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        let name = without_port(host).to_ascii_lowercase();
        match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // An address can't be rebound. On all interfaces, each of them is ours.
            Ok(ip) => is_loopback(ip) || ip == self.address.ip() || self.address.ip().is_unspecified(),
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }
}

/// Unpredictable without the key, and another one in each process.
fn session(key: &AccessKey) -> String {
    let salt = [RandomState::new(), RandomState::new()].map(|state| state.build_hasher().finish().to_be_bytes());
    let digest = derive("console session", &[&key.0, &salt[0], &salt[1]]);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    }
}

/// The value of `key` in the query, decoded.
fn shown_key(uri: &Uri) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == "key")?;
    Some(percent_decoded(&value.replace('+', " ")))
}

/// What is no escape stays as it stands.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.first_chunk::<2>()).flatten().and_then(|digits| {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            u8::try_from(high? << 4 | low?).ok()
        });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a-key-nobody-guesses";

    fn access(address: &str, key: Option<&str>) -> Option<Access> {
        Access::new(address.parse().unwrap(), &[], key.and_then(AccessKey::new))
    }

    fn judged(access: &Access, target: &str, host: &'static str) -> Result<Admitted, Refused> {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        access.judge(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn an_address_that_others_reach_needs_a_key() {
        for address in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "[2001:db8::1]:80"] {
            assert!(access(address, None).is_none(), "{address}");
            assert!(access(address, Some(KEY)).is_some(), "{address}");
        }
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(access(address, None).is_some(), "{address}");
        }
    }

    #[test]
    fn on_such_an_address_every_request_needs_it() {
        let access = access("192.0.2.1:80", Some(KEY)).unwrap();
        assert_eq!(judged(&access, "/", "192.0.2.1:80"), Err(Refused::NoKey));
        assert_eq!(judged(&access, "/api/status?key=wrong", "192.0.2.1"), Err(Refused::WrongKey));
        let opened = Ok(Admitted { sight: Sight::Opened, by_key: true });
        assert_eq!(judged(&access, &format!("/api/status?key={KEY}"), "192.0.2.1"), opened);
        assert_eq!(judged(&access, &format!("/?key={KEY}"), "192.0.2.2"), Err(Refused::OtherHost));
    }

    #[test]
    fn a_short_key_is_none_and_none_prints() {
        assert!(AccessKey::new("fifteen letters").is_none());
        assert_eq!(format!("{:?}", AccessKey::new(KEY).unwrap()), "AccessKey(…)");
    }

    #[test]
    fn a_key_is_read_from_the_query_whatever_its_characters() {
        let key = |target: &str| shown_key(&target.parse().unwrap());
        assert_eq!(key("/?a=1&key=a%2Bb+c%C3%A4&b"), Some("a+b cä".into()));
        assert_eq!(key("/?key=%zz%4"), Some("%zz%4".into()));
        assert_eq!(key("/?monkey=1"), None);
    }

    #[test]
    fn two_processes_have_two_sessions() {
        let cookie = || access("127.0.0.1:80", Some(KEY)).unwrap().cookie();
        assert_ne!(cookie(), cookie());
    }
}
