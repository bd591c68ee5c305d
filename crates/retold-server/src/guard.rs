//! Whom the service answers: without tokens only what reaches it by a loopback name, and no
//! write that another site's page asks for.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, header};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::api::{Code, Problem};

/// How a browser says which site a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The ports that a URL with the scheme `http` or `https` means without saying it.
const IMPLIED_PORTS: [&str; 2] = [":80", ":443"];

/// What is wrong with a request whatever it asks for.
pub(crate) fn check(request: &Request, allows_any_host: bool) -> Result<(), Problem> {
    let headers = request.headers();
    if !allows_any_host {
        check_host(headers, request.uri().authority())?;
    }
    let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    match is_read {
        true => Ok(()),
        false => check_site(headers, allows_any_host),
    }
}

/// A page of another site can make its own name resolve to this machine (DNS rebinding); its
/// requests then carry that name.
fn check_host(headers: &HeaderMap, of_target: Option<&Authority>) -> Result<(), Problem> {
    let refuse = || {
        Problem::new(
            Code::Forbidden,
            "serve this Host: it is not a loopback name",
        )
        .field("Host")
        .hint("use localhost, or start the service with --insecure")
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(refuse());
    }
    let of_header = host.map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let names = of_header
        .into_iter()
        .chain(of_target.map(|t| Some(t.clone())));
    for authority in names {
        let authority = authority.ok_or_else(refuse)?;
        if !is_loopback(&authority) {
            return Err(refuse());
        }
    }
    Ok(())
}

fn is_loopback(authority: &Authority) -> bool {
    // A user name before the host has no place here.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let ipv6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Some(ipv6) = ipv6 {
        return ipv6
            .parse()
            .is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    let is_local_name = host.eq_ignore_ascii_case("localhost");
    is_local_name
        || host
            .parse()
            .is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

/// A write must come from a page of this site, or from no page at all.
fn check_site(headers: &HeaderMap, allows_https: bool) -> Result<(), Problem> {
    let refuse = |header: &str| {
        let detail = format!("accept a write from another site ({header})");
        Problem::new(Code::Forbidden, detail).field(header)
    };
    for site in headers.get_all(SEC_FETCH_SITE) {
        if site != "same-origin" && site != "none" {
            return Err(refuse("Sec-Fetch-Site"));
        }
    }
    let own = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| {
            let plain = origin.strip_prefix("http://");
            // Behind a proxy that ends TLS, which --insecure allows, pages have https.
            let secure = || origin.strip_prefix("https://").filter(|_| allows_https);
            plain.or_else(secure)
        });
        let is_own = match (origin, own) {
            (Some(origin), Some(own)) => without_port(origin) == without_port(own),
            _ => false,
        };
        if !is_own {
            return Err(refuse("Origin"));
        }
    }
    Ok(())
}

/// A host without the port that goes without saying.
fn without_port(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let mut ports = IMPLIED_PORTS.iter();
    let without = ports.find_map(|port| host.strip_suffix(port));
    without.unwrap_or(&host).to_owned()
}
