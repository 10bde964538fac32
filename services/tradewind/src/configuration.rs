//! The configuration: one file in TOML for all roles, every value but Kafka's address with a default.
//! What is wrong in it is told with its line and what was expected there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Configuration {
    /// Names the installation's writers and groups, for good.
    pub(crate) installation: InstallationName,
    /// Of every topic but the directory and the keys, for good.
    pub(crate) partitions: Partitions,
    /// Holds the embedded log, the vault, the stores and the secrets.
    pub(crate) directory: PathBuf,
    /// What the process may take for stores, caches, changed leaves and Kafka's queues.
    pub(crate) memory_mib: MemoryMib,
    pub(crate) ingress: Ingress,
    pub(crate) console: Console,
    pub(crate) operations: Operations,
    pub(crate) kafka: Option<Kafka>,
    pub(crate) sandbox: Sandbox,
    pub(crate) logs: Logs,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            installation: InstallationName("tradewind".into()),
            partitions: Partitions(1),
            directory: ".tradewind".into(),
            memory_mib: MemoryMib(512),
            ingress: Ingress::default(),
            console: Console::default(),
            operations: Operations::default(),
            kafka: None,
            sandbox: Sandbox::default(),
            logs: Logs::default(),
        }
    }
}

/// The public door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ingress {
    pub(crate) address: SocketAddr,
    /// `https://…`, as vendors reach it: it is asked again and again whether it
    /// leads back to us. In production there has to be one.
    pub(crate) public_address: Option<PublicAddress>,
}

impl Default for Ingress {
    fn default() -> Ingress {
        Ingress { address: loopback(8081), public_address: None }
    }
}

/// The operators' page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    pub(crate) address: SocketAddr,
    /// Names by which it is reached, beside its address.
    pub(crate) hosts: Vec<String>,
}

impl Default for Console {
    fn default() -> Console {
        Console { address: loopback(8080), hosts: Vec::new() }
    }
}

/// `/livez`, `/readyz`, `/startupz`, `/metrics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Operations {
    pub(crate) address: SocketAddr,
}

impl Default for Operations {
    fn default() -> Operations {
        Operations { address: loopback(8082) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    /// `host:port`, more than one separated by commas.
    pub(crate) bootstrap: String,
    /// One broker without replication is good enough, and time may be stretched.
    #[serde(default)]
    pub(crate) dev: bool,
    /// Goes before every topic's name, where two installations share a cluster.
    #[serde(default)]
    pub(crate) topic_prefix: String,
    /// This process among those of its role; it keeps its partitions over a restart.
    #[serde(default = "member")]
    pub(crate) member: String,
    /// Of librdkafka: how the cluster is reached.
    #[serde(default)]
    pub(crate) client: BTreeMap<String, String>,
}

fn member() -> String {
    "0".into()
}

/// The vendors that are played to an installation for development.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sandbox {
    pub(crate) seed: u64,
    /// Seconds of the vendors' time in one of the world; in `dev` of the log's, too.
    pub(crate) speed: Speed,
    pub(crate) customers: u32,
    /// Visits to the shop in an hour of the vendors' time.
    pub(crate) visits_per_hour: u32,
    /// After so many nobody comes any more.
    pub(crate) visits_max: Option<u64>,
    /// Of the shop's deliveries, per mille, that are held back for minutes or hours.
    pub(crate) delayed: u16,
    /// Whether the mailing service also cuts connections and answers nothing, having
    /// done what it was asked or not.
    pub(crate) is_mail_flaky: bool,
    /// How many deliveries its ledger remembers.
    pub(crate) deliveries_kept: usize,
    /// When a cart counts as left alone, and how long late facts are then waited for.
    pub(crate) quiet_minutes: Option<i64>,
    pub(crate) lateness_minutes: Option<i64>,
    /// Where it serves on 127.0.0.1; 0 is any free port.
    pub(crate) mail_port: u16,
    pub(crate) desk_port: u16,
    pub(crate) status_port: u16,
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox {
            seed: 1,
            speed: Speed(300),
            customers: 120,
            visits_per_hour: 15,
            visits_max: None,
            delayed: 10,
            is_mail_flaky: false,
            deliveries_kept: 5_000,
            quiet_minutes: None,
            lateness_minutes: None,
            mail_port: 0,
            desk_port: 0,
            status_port: 0,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    pub(crate) format: LogFormat,
    /// Such as `info,tradewind_connector=debug`.
    pub(crate) levels: String,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { format: LogFormat::Text, levels: "warn".into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

macro_rules! checked {
    ($name:ident, $inner:ty, $is_good:expr, $expected:literal) => {
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "toml::Value")]
        pub(crate) struct $name(pub(crate) $inner);

        impl TryFrom<toml::Value> for $name {
            type Error = String;

            fn try_from(value: toml::Value) -> Result<$name, String> {
                let given = value.to_string();
                let inner: Result<$inner, _> = value.try_into();
                match inner {
                    Ok(inner) if $is_good(&inner) => Ok($name(inner)),
                    Ok(_) | Err(_) => Err(format!(concat!("expected ", $expected, ", got {}"), given)),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                match text.parse::<$inner>() {
                    Ok(inner) if $is_good(&inner) => Ok($name(inner)),
                    Ok(_) | Err(_) => Err(concat!("expected ", $expected).into()),
                }
            }
        }
    };
}

checked!(Partitions, u32, |count| (1..=1_000).contains(count), "a number of partitions from 1 to 1000");
checked!(Speed, u32, |speed| (1..=3_600).contains(speed), "a speed from 1 to 3600");
checked!(MemoryMib, u32, |mib| (128..=1_048_576).contains(mib), "at least 128 MiB of memory");
checked!(
    PublicAddress,
    String,
    |address: &String| {
        let authority = address.strip_prefix("https://").unwrap_or_default();
        !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    },
    "an origin without a path, such as https://hooks.example.com"
);
checked!(
    InstallationName,
    String,
    |name: &String| {
        (1..=100).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    },
    "a name of 1 to 100 letters, digits, dots, dashes and underscores"
);

impl Configuration {
    /// The defaults, or what this file says.
    pub(crate) fn load(path: Option<&Path>) -> Result<Configuration, Failure> {
        let Some(path) = path else { return Ok(Configuration::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("read the configuration {}: {error}", path.display())))?;
        Configuration::read(&text).map_err(|reason| Failure::usage(format!("read {}: {reason}", path.display())))
    }

    fn read(text: &str) -> Result<Configuration, String> {
        // Its message shows the line, and what was expected there.
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        let configuration = Configuration::read("").unwrap();
        assert_eq!(configuration.partitions, Partitions(1));
        assert_eq!(configuration.console.address, loopback(8080));
    }

    #[test]
    fn the_console_may_have_names() {
        let configuration = Configuration::read("[console]\nhosts = [\"console.example.com\"]").unwrap();
        assert_eq!(configuration.console.hosts, ["console.example.com"]);
        assert_eq!(configuration.console.address, loopback(8080));
    }

    #[test]
    fn vendors_reach_us_at_an_origin() {
        for address in ["https://hooks.example.com", "https://hooks.example.com:8443", "https://[2001:db8::1]"] {
            let text = format!("[ingress]\npublic_address = \"{address}\"");
            let address = Some(PublicAddress(address.into()));
            assert_eq!(Configuration::read(&text).unwrap().ingress.public_address, address);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_was_expected() {
        for (text, line, expected) in [
            (
                "installation = \"demo\"\npartitions = 0\n",
                "line 2",
                "expected a number of partitions from 1 to 1000, got 0",
            ),
            ("\n\nmemory_mib = \"much\"", "line 3", "expected at least 128 MiB of memory, got \"much\""),
            ("partitons = 4", "line 1", "expected one of"),
            ("[console]\naddress = \"here\"", "line 2", "invalid socket address"),
            ("[sandbox]\nspeed = 0", "line 2", "expected a speed from 1 to 3600, got 0"),
            ("[logs]\nformat = \"xml\"", "line 2", "expected `text` or `json`"),
            ("[kafka]\ndev = true", "line 1", "missing field `bootstrap`"),
            ("installation = \"a b\"", "line 1", "expected a name"),
            ("[ingress]\npublic_address = \"https://example.com/in\"", "line 2", "expected an origin without a path"),
            ("[ingress]\npublic_address = \"http://example.com\"", "line 2", "such as https://hooks.example.com"),
            ("partitions = ", "line 1", ""),
        ] {
            let reason = Configuration::read(text).unwrap_err();
            assert!(reason.contains(line) && reason.contains(expected), "{text:?} gave {reason}");
        }
    }
}
