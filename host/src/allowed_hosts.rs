//! `allowed_outbound_hosts`: where the guest may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use url::{Host, Url};

/// The destinations a component may reach. Nothing is allowed that is not listed.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    scheme: Option<String>,
    host: HostPattern,
    ports: Range<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    Subdomains(String),
    Itself,
    Literal(Host),
    Network(IpAddr, u8),
}

impl AllowedHosts {
    /// Reads the entries, after templates have been filled in.
    ///
    /// # Errors
    ///
    /// An entry is not of the form `scheme://host[:port]`.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self> {
        let parse = |entry: &S| {
            let entry = entry.as_ref();
            Entry::parse(entry)
                .with_context(|| format!("invalid allowed_outbound_hosts entry {entry:?}"))
        };
        Ok(Self {
            entries: entries.iter().map(parse).collect::<Result<_>>()?,
        })
    }

    /// Whether the guest may connect to this address. Without a scheme of its own the address
    /// is taken to have `scheme`.
    #[must_use]
    pub fn allows(&self, address: &str, scheme: &str) -> bool {
        parse_address(address, scheme)
            .is_some_and(|url| self.entries.iter().any(|entry| entry.allows(&url)))
    }

    /// Whether the guest may send requests to its own application.
    #[must_use]
    pub fn allows_itself(&self, schemes: &[&str]) -> bool {
        self.entries.iter().any(|entry| {
            matches!(entry.host, HostPattern::Any | HostPattern::Itself)
                && schemes.iter().any(|scheme| entry.allows_scheme(scheme))
        })
    }
}

impl Entry {
    fn parse(entry: &str) -> Result<Self> {
        let (scheme, rest) = entry
            .trim()
            .split_once("://")
            .context("it has no scheme, such as \"http://\"")?;
        let scheme = match scheme {
            "*" => None,
            _ => {
                let alphabetic = scheme.chars().all(char::is_alphabetic);
                ensure!(alphabetic, "a scheme consists of letters, or is \"*\"");
                Some(scheme.to_owned())
            }
        };
        let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let (port, path) = port.split_once('/').unwrap_or((port, ""));
        ensure!(path.is_empty(), "it must not have a path");
        Ok(Self {
            ports: parse_ports(port, scheme.as_deref())?,
            host: HostPattern::parse(host)?,
            scheme,
        })
    }

    fn allows(&self, url: &Url) -> bool {
        let port = url.port().or_else(|| default_port(url.scheme()));
        self.allows_scheme(url.scheme())
            && url
                .host_str()
                .and_then(|host| Host::parse(host).ok())
                .is_some_and(|host| self.host.allows(&host))
            && match port {
                Some(port) => self.ports.contains(&u32::from(port)),
                None => self.ports == ANY_PORT,
            }
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        self.scheme
            .as_deref()
            .is_none_or(|allowed| allowed == scheme)
    }
}

const ANY_PORT: Range<u32> = 0..65536;

fn parse_ports(port: &str, scheme: Option<&str>) -> Result<Range<u32>> {
    let number = |text: &str| {
        text.parse::<u16>()
            .map(u32::from)
            .with_context(|| format!("{text:?} is not a port"))
    };
    let single = |port: u32| port..port + 1;
    if port.is_empty() {
        let known = default_port(scheme.unwrap_or("*"))
            .context("it has no port, and its scheme no usual one")?;
        return Ok(single(known.into()));
    }
    if port == "*" {
        return Ok(ANY_PORT);
    }
    match port.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => Ok(single(number(port)?)),
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self> {
        let host = host.trim();
        if let Some(network) = parse_network(host) {
            return Ok(network);
        }
        match host.trim_end_matches('/') {
            "*" => Ok(Self::Any),
            "self" | "self.alt" => Ok(Self::Itself),
            host if host.contains(['/', '{', '}']) => bail!("it is a host, without path or lists"),
            host => match host.strip_prefix("*.") {
                Some(domain) if !domain.contains('*') => Ok(Self::Subdomains(format!(".{domain}"))),
                None if !host.contains('*') => Ok(Self::Literal(Host::parse(host)?)),
                _ => bail!("a wildcard stands for a whole host or for its subdomains"),
            },
        }
    }

    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomains(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Literal(literal), host) => literal == host,
            (Self::Network(IpAddr::V4(network), bits), Host::Ipv4(address)) => {
                shared_bits(&network.octets(), &address.octets()) >= u32::from(*bits)
            }
            (Self::Network(IpAddr::V6(network), bits), Host::Ipv6(address)) => {
                shared_bits(&network.octets(), &address.octets()) >= u32::from(*bits)
            }
            _ => false,
        }
    }
}

/// Reads `10.0.0.0/8` and the like.
fn parse_network(host: &str) -> Option<HostPattern> {
    let (address, bits) = host.split_once('/')?;
    let bits = bits.parse().ok()?;
    let address = address
        .parse::<Ipv4Addr>()
        .map(IpAddr::from)
        .or_else(|_| {
            address
                .trim_matches(['[', ']'])
                .parse::<Ipv6Addr>()
                .map(IpAddr::from)
        })
        .ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some(HostPattern::Network(address, bits))
}

/// How many leading bits two addresses have in common.
fn shared_bits(one: &[u8], other: &[u8]) -> u32 {
    let mut shared = 0;
    for (one, other) in one.iter().zip(other) {
        let same = (one ^ other).leading_zeros();
        shared += same;
        if same < 8 {
            break;
        }
    }
    shared
}

/// Reads an address as a URL. A password may hold characters that a URL must escape; it plays no
/// part in the decision, so everything before the `@` is left out.
fn parse_address(address: &str, scheme: &str) -> Option<Url> {
    let (own_scheme, rest) = match address.split_once("://") {
        Some((own, rest)) => (own, rest),
        None => (scheme, address),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let url = Url::parse(&format!("{own_scheme}://{host}{path}")).ok()?;
    url.has_host().then_some(url)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
#[path = "allowed_hosts_tests.rs"]
mod tests;
