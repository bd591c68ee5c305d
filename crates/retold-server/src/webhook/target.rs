//! Which addresses messages are sent to: not to what only this machine, or its own network, can
//! reach, unless that is allowed. Otherwise whoever may name a receiver could reach what is not
//! meant for them. It is looked at after the name was resolved, for the very address that is
//! connected to, so that a name cannot change its mind in between.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

/// What may be sent to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    pub(super) allow_private: bool,
}

/// An address that is not sent to.
#[derive(Debug)]
struct Refused(IpAddr);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "send to {}: only this machine or its own network can reach it; an operator may allow \
             such receivers with `retold serve --allow-private-webhooks`",
            self.0
        )
    }
}

impl std::error::Error for Refused {}

/// Why an address was refused, where that is why a request failed.
pub(super) fn refusal(error: &reqwest::Error) -> Option<String> {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.to_string());
        }
        source = error.source();
    }
    None
}

impl Targets {
    /// Looks at a host that is written as a number.
    pub(super) fn check_host(self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => self.check(address).map_err(|refused| refused.to_string()),
            Err(_) => Ok(()),
        }
    }

    fn check(self, address: IpAddr) -> Result<(), Refused> {
        match self.allow_private || is_public(address) {
            true => Ok(()),
            false => Err(Refused(address)),
        }
    }
}

impl Resolve for Targets {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            for address in &found {
                targets.check(address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public network: none that the registries of IANA set aside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_set_aside = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // This network; shared by carriers (RFC 6598); protocol assignments; 6to4 relays;
        // benchmarks; reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !is_set_aside
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    match segments {
        // What is translated to IPv4 (RFC 6052) is as public as what it is translated to.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last_four(&segments)),
        [0x2001, 0xdb8, ..] | [0x2001, 0..0x200, ..] | [0x2002, ..] => false,
        // Global unicast is 2000::/3; everything else is loopback, local, multicast, or unused.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

fn last_four(segments: &[u16; 8]) -> Ipv4Addr {
    let [a, b] = segments[6].to_be_bytes();
    let [c, d] = segments[7].to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_some_can_reach_is_not_public() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
            "2002:7f00:1::",
            "::7f00:1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_everybody_can_reach_is_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn numbers_are_looked_at_in_every_spelling_of_an_address() {
        let targets = Targets {
            allow_private: false,
        };
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://127.1:80/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            assert!(targets.check_host(&url.parse().unwrap()).is_err(), "{url}");
        }
    }
}
