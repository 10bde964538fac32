//! Whom we may call: public unicast addresses by https, and nothing else.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where requests may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses by https, on its own port.
    Public,
    /// Also 127.0.0.1, without TLS and on any port: the sandbox of a developer.
    PublicAndSandbox,
}

/// Why an address is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

const SANDBOX: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// IPv4 that is not somebody's public unicast address: first address, bits of
/// the network, whose it is.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's inside"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local, or a cloud's metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved, or broadcast"),
];

/// The only IPv6 that is given out as global unicast.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What lies within it and is not somebody's public address, or hides one of IPv4.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved for protocols, or Teredo"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

impl Reach {
    /// Parses what a request is sent to, and checks all of it that needs no
    /// resolving. `path` can't lead away from `origin`.
    pub(crate) fn url(self, origin: &str, path: &str) -> Result<Url, Refused> {
        let refused = |why: &str| Refused(format!("{why} in {origin:?}"));
        let base = Url::parse(origin).map_err(|reason| refused(&format!("no address: {reason}")))?;
        let is_bare = base.path() == "/" && base.query().is_none() && base.fragment().is_none();
        if !is_bare || !base.username().is_empty() || base.password().is_some() {
            return Err(refused("more than scheme, host and port"));
        }
        if !path.starts_with('/') || path.contains('#') {
            return Err(Refused("a path that does not begin with a slash, or has a fragment".into()));
        }
        let url = Url::parse(&format!("{}{path}", origin.trim_end_matches('/')))
            .map_err(|reason| Refused(format!("no address with its path: {reason}")))?;
        if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("a path that leads elsewhere".into()));
        }
        let literal = match url.host_str() {
            None => return Err(refused("no host")),
            Some(host) => host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok(),
        };
        if let Some(address) = literal {
            self.check(address)?;
            if self.is_sandbox(address) {
                return if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(refused("no http")) };
            }
        }
        if url.scheme() != "https" {
            return Err(refused("no https"));
        }
        if url.port().is_some() {
            return Err(refused("another port than that of https"));
        }
        Ok(url)
    }

    pub(crate) fn check(self, address: IpAddr) -> Result<(), Refused> {
        if self.is_sandbox(address) {
            return Ok(());
        }
        match not_public(address) {
            None => Ok(()),
            Some(whose) => Err(Refused(format!("{address}, which is {whose}"))),
        }
    }

    fn is_sandbox(self, address: IpAddr) -> bool {
        self == Reach::PublicAndSandbox && address == SANDBOX
    }
}

fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => NOT_PUBLIC_V4
            .iter()
            .find(|(network, bits, _)| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0)
            .map(|(_, _, whose)| *whose),
        IpAddr::V6(address) => {
            let is_within = |network: Ipv6Addr, bits: u32| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
            if !is_within(GLOBAL_V6.0, GLOBAL_V6.1) {
                return Some("no global unicast");
            }
            NOT_PUBLIC_V6.iter().find(|(network, bits, _)| is_within(*network, *bits)).map(|(_, _, whose)| *whose)
        }
    }
}

/// Resolves names. One address that is refused refuses the name: who mixes
/// public and private ones is not to be trusted with the choice.
#[derive(Debug)]
pub(crate) struct Checked;

impl Checked {
    fn passed(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        for address in &addresses {
            // A name never leads to the sandbox: that is called by its number.
            Reach::Public.check(address.ip())?;
        }
        Ok(addresses)
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let passed: Addrs = Box::new(Checked::passed(found)?.into_iter());
            Ok(passed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(reach: Reach, origin: &str) -> bool {
        reach.url(origin, "/").is_ok()
    }

    #[test]
    fn public_addresses_are_called() {
        for origin in [
            "https://a.klaviyo.com",
            "https://a.klaviyo.com/",
            "https://1.1.1.1",
            "https://100.63.255.255",
            "https://100.128.0.0",
            "https://172.15.255.255",
            "https://172.32.0.0",
            "https://198.17.255.255",
            "https://198.20.0.0",
            "https://223.255.255.255",
            "https://[2606:4700::1111]",
            "https://[2001:200::1]",
            "https://[2001:4860:4860::8888]",
        ] {
            assert!(is_called(Reach::Public, origin), "{origin}");
        }
    }

    #[test]
    fn whatever_else_an_address_looks_like_it_is_refused() {
        for origin in [
            // Loopback, in every spelling.
            "https://127.0.0.1",
            "https://127.255.255.254",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:7f00:1]",
            "https://[::127.0.0.1]",
            // Unspecified.
            "https://0.0.0.0",
            "https://0.1.2.3",
            "https://[::]",
            // Private.
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://172.31.255.255",
            "https://192.168.1.1",
            "https://[fc00::1]",
            "https://[fd12:3456::1]",
            "https://[::ffff:10.0.0.1]",
            // Link-local and metadata.
            "https://169.254.169.254",
            "https://169.254.0.1",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://[::ffff:a9fe:a9fe]",
            // A carrier's inside.
            "https://100.64.0.1",
            "https://100.100.100.200",
            "https://100.127.255.255",
            // Reserved, documentation, benchmarking, relays, multicast, broadcast.
            "https://192.0.0.192",
            "https://192.0.2.1",
            "https://192.88.99.1",
            "https://198.18.0.1",
            "https://198.19.255.255",
            "https://198.51.100.7",
            "https://203.0.113.7",
            "https://224.0.0.1",
            "https://239.255.255.255",
            "https://240.0.0.1",
            "https://255.255.255.255",
            "https://[ff02::1]",
            "https://[2001:db8::1]",
            "https://[3fff::1]",
            "https://[100::1]",
            "https://[5f00::1]",
            "https://[fec0::1]",
            // IPv4 inside IPv6.
            "https://[2002:7f00:1::]",
            "https://[64:ff9b::7f00:1]",
            "https://[64:ff9b:1::1]",
            "https://[2001:0:7f00:1::]",
            // Not an address of a vendor at all.
            "http://a.klaviyo.com",
            "ftp://a.klaviyo.com",
            "file:///etc/passwd",
            "https://a.klaviyo.com:8443",
            "https://user@a.klaviyo.com",
            "https://user:password@a.klaviyo.com",
            "https://a.klaviyo.com/path",
            "https://a.klaviyo.com?query",
            "https://",
            "a.klaviyo.com",
            "",
        ] {
            assert!(!is_called(Reach::Public, origin), "{origin}");
        }
    }

    #[test]
    fn the_sandbox_is_one_address_and_has_to_be_allowed() {
        for origin in ["http://127.0.0.1:4000", "https://127.0.0.1:4000", "http://127.0.0.1"] {
            assert!(!is_called(Reach::Public, origin), "{origin}");
            assert!(is_called(Reach::PublicAndSandbox, origin), "{origin}");
        }
        for origin in [
            "http://127.0.0.2:4000",
            "http://localhost:4000",
            "http://[::1]:4000",
            "http://10.0.0.1",
            "http://169.254.169.254",
            "http://a.klaviyo.com",
            "ftp://127.0.0.1",
        ] {
            assert!(!is_called(Reach::PublicAndSandbox, origin), "{origin}");
        }
    }

    #[test]
    fn a_path_does_not_lead_away() {
        let url = |path| Reach::Public.url("https://a.klaviyo.com", path);
        assert_eq!(url("/api/events?x=1").unwrap().as_str(), "https://a.klaviyo.com/api/events?x=1");
        assert_eq!(url("//10.0.0.1/x").unwrap().host_str(), Some("a.klaviyo.com"));
        assert_eq!(url("/../../x").unwrap().as_str(), "https://a.klaviyo.com/x");
        for path in ["", "x", "@10.0.0.1/", ".evil.example.com/", ":444/", "/x#y", "https://10.0.0.1/"] {
            assert!(url(path).is_err(), "{path}");
        }
    }

    #[test]
    fn one_private_address_refuses_the_name() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(Checked::passed(vec![address("1.1.1.1"), address("2606:4700::1111")]).is_ok());
        assert!(Checked::passed(vec![address("1.1.1.1"), address("10.0.0.1")]).is_err());
        assert!(Checked::passed(vec![address("127.0.0.1")]).is_err());
    }
}
