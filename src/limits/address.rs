//! Where a request comes from.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// The host writes the other end of the connection here, after whatever the client has sent under
/// this name.
const PEER: HeaderName = HeaderName::from_static("spin-client-addr");

/// The client's address: what the trusted gateway says in `gateway`, else the other end of the
/// connection. Of an IPv6 address it is the network, since one client has all of that.
pub fn client(headers: &HeaderMap, gateway: Option<&HeaderName>) -> String {
    let told = gateway.and_then(|name| last(headers, name));
    let address = told.or_else(|| last(headers, &PEER));
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        // All whose address is unknown share one bucket.
        None => String::new(),
    }
}

/// The last address of a header: the gateway appends, and what is before comes from the client.
fn last(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.as_bytes();
    let address = value.rsplit(|byte| *byte == b',').next()?;
    let address = core::str::from_utf8(address).ok()?.trim();
    let with_port = address.parse().map(|address: SocketAddr| address.ip());
    with_port
        .ok()
        .or_else(|| address.trim_matches(['[', ']']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        });
        pairs.collect()
    }

    const GATEWAY: HeaderName = HeaderName::from_static("x-forwarded-for");

    #[test]
    fn a_client_cannot_choose_its_address() {
        let spoofed = [
            ("spin-client-addr", "9.9.9.9:1"),
            ("spin-client-addr", "10.0.0.7:4711"),
        ];
        assert_eq!(client(&headers(&spoofed), None), "10.0.0.7");
        let forwarded = [
            ("x-forwarded-for", "9.9.9.9, 203.0.113.5"),
            ("spin-client-addr", "10.0.0.1:4711"),
        ];
        assert_eq!(client(&headers(&forwarded), Some(&GATEWAY)), "203.0.113.5");
        let odd = [
            ("x-forwarded-for", "\u{e9}, 203.0.113.5"),
            ("spin-client-addr", "10.0.0.1:4711"),
        ];
        assert_eq!(client(&headers(&odd), Some(&GATEWAY)), "203.0.113.5");
        // Nobody has been told to trust the header.
        assert_eq!(client(&headers(&forwarded), None), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        for address in [
            "[2001:db8:1:2:3:4:5:6]:443",
            "2001:db8:1:2::9",
            "[2001:db8:1:2::9]",
        ] {
            let headers = headers(&[("spin-client-addr", address)]);
            assert_eq!(client(&headers, None), "2001:db8:1:2::", "{address}");
        }
        let mapped = headers(&[("spin-client-addr", "[::ffff:192.0.2.1]:80")]);
        assert_eq!(client(&mapped, None), "192.0.2.1");
    }

    #[test]
    fn without_a_usable_header_the_connection_counts() {
        let odd = headers(&[
            ("x-forwarded-for", "unknown"),
            ("spin-client-addr", "10.0.0.1:1"),
        ]);
        assert_eq!(client(&odd, Some(&GATEWAY)), "10.0.0.1");
        assert_eq!(client(&HeaderMap::new(), None), "");
    }
}
