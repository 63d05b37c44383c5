//! Who is asking: the address behind trusted proxies, and the name by which they reached us.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, header};
use ipnet::IpNet;

/// The operator's settings about clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientRules {
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) allowed: Vec<IpNet>,
    pub(crate) hosts: Vec<String>,
}

/// Put into the extensions of a request: its client speaks https. Whoever accepts the connections knows that, such as a gateway
/// in front of a function; from headers it is believed only where a trusted proxy wrote them. Cookies are then `Secure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Https;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's address; None where the server was not told the peer's.
    pub(crate) address: Option<IpAddr>,
    /// The connection comes from a trusted proxy.
    pub(crate) proxied: bool,
    /// The client speaks https, to the trusted proxy or as [`Https`] says.
    pub(crate) https: bool,
}

impl ClientRules {
    /// The socket's peer, unless that is a trusted proxy: then the right-most address of `X-Forwarded-For` that is not
    /// one. Entries further left were written by strangers.
    pub(crate) fn client(&self, parts: &Parts) -> Client {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
        let https = parts.extensions.get::<Https>().is_some();
        let Some(peer) = peer.filter(|peer| contains(&self.trusted_proxies, *peer)) else {
            return Client { address: peer, proxied: false, https };
        };
        let mut address = Some(peer);
        for entry in forwarded_for(&parts.headers).iter().rev() {
            address = parse(entry);
            if !address.is_some_and(|address| contains(&self.trusted_proxies, address)) {
                break;
            }
        }
        let https = https || parts.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        Client { address, proxied: true, https }
    }

    /// Whether the client's address is one that the operator lets in.
    pub(crate) fn lets_in(&self, client: &Client) -> bool {
        self.allowed.is_empty() || client.address.is_some_and(|address| contains(&self.allowed, address))
    }

    /// Whether the request came by a name that is ours. A page of a stranger that rebinds its own name to our address
    /// comes with that name.
    pub(crate) fn knows_host(&self, client: &Client, parts: &Parts) -> bool {
        let Some(host) = host(parts) else { return false };
        if is_loopback_name(host) || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return true;
        }
        let from_this_machine = client.address.is_some_and(|address| address.is_loopback());
        self.hosts.is_empty() && (client.proxied || !from_this_machine)
    }
}

/// The name in the request's target or its `Host` header, without port.
fn host(parts: &Parts) -> Option<&str> {
    Some(without_port(authority(parts)?))
}

/// The name in the request's target or its `Host` header, with the port if it has one.
pub(crate) fn authority(parts: &Parts) -> Option<&str> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => parts.headers.get(header::HOST)?.to_str().ok(),
    }
}

pub(crate) fn is_loopback_name(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn forwarded_for(headers: &HeaderMap) -> Vec<&str> {
    // A value that is not text stands for an address that cannot be read.
    headers.get_all("x-forwarded-for").iter().flat_map(|value| value.to_str().unwrap_or("?").split(',')).collect()
}

fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> Option<String> {
        let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut request = http::Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let peer = ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40_000));
        let (parts, ()) = request.extension(peer).body(()).unwrap().into_parts();
        ClientRules { trusted_proxies, ..ClientRules::default() }.client(&parts).address.map(|a| a.to_string())
    }

    #[test]
    fn the_client_is_the_peer_or_the_right_most_address_that_no_trusted_proxy_wrote() {
        let proxies = &["10.0.0.0/8", "127.0.0.1/32"][..];
        for (name, trusted, peer, forwarded, expected) in [
            ("no proxy", &[][..], "192.0.2.1", &[][..], Some("192.0.2.1")),
            ("a forged header of a stranger", proxies, "192.0.2.1", &["127.0.0.1"], Some("192.0.2.1")),
            ("a proxy that nobody trusts", &[], "127.0.0.1", &["192.0.2.7"], Some("127.0.0.1")),
            ("one proxy", proxies, "127.0.0.1", &["192.0.2.7"], Some("192.0.2.7")),
            ("a forged entry before the proxy's", proxies, "127.0.0.1", &["10.0.0.9, 192.0.2.7"], Some("192.0.2.7")),
            ("a forged header before the proxy's", proxies, "127.0.0.1", &["10.0.0.9", "192.0.2.7"], Some("192.0.2.7")),
            ("two proxies", proxies, "127.0.0.1", &["192.0.2.7, 10.0.0.2"], Some("192.0.2.7")),
            ("proxies only", proxies, "127.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            ("with a port", proxies, "127.0.0.1", &["192.0.2.7:55"], Some("192.0.2.7")),
            ("not an address", proxies, "127.0.0.1", &["192.0.2.7, unknown"], None),
            ("IPv4 inside IPv6", proxies, "::ffff:127.0.0.1", &["::ffff:192.0.2.7"], Some("192.0.2.7")),
            ("a proxy without the header", proxies, "127.0.0.1", &[], Some("127.0.0.1")),
        ] {
            assert_eq!(client(trusted, peer, forwarded).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn loopback_has_several_names() {
        for (host, loopback) in [
            ("localhost", true),
            ("LOCALHOST:3000", true),
            ("127.0.0.1:3000", true),
            ("[::1]:3000", true),
            ("[::1]", true),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:3000", false),
            ("0.0.0.0:3000", false),
        ] {
            assert_eq!(is_loopback_name(without_port(host)), loopback, "{host}");
        }
    }
}
