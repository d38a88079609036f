//! `Network`, `Process` and `ThreatIntelIndicators`: what the evidence shows.
//!
//! `Network` and `Process` are one object each. Both come from the first evidence that has some: parts of several put
//! together would tell of a connection that nobody saw.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bounded::{Text, Url};
use crate::view::{View, is_blank};

use super::form::{Direction, Indicator, IndicatorType, Moment, Network, Process, Source, Target};
use super::marks::Marks;

/// Most indicators of a finding (API reference, `AwsSecurityFinding.ThreatIntelIndicators`).
const MAX_INDICATORS: usize = 5;
/// Longest value of an indicator; a longer one is left out, for half of it indicates nothing.
const MAX_VALUE: usize = 512;

/// The connection of the first evidence that has one.
pub(crate) fn network(event: View<'_>) -> Option<Network<'_>> {
    event.list("evidences").find_map(|evidence| {
        let source = evidence.at("src_endpoint").map(|end| {
            let (v4, v6) = addresses(end);
            Source { v4, v6, port: port(end), domain: domain(end), mac: end.text("mac").and_then(mac) }
        });
        let destination = evidence.at("dst_endpoint").map(|end| {
            let (v4, v6) = addresses(end);
            Target { v4, v6, port: port(end), domain: domain(end) }
        });
        let (source, destination) = (source.unwrap_or_default(), destination.unwrap_or_default());
        if source == Source::default() && destination == Target::default() {
            return None;
        }
        let direction = match evidence.int("connection_info.direction_id") {
            Some(1) => Some(Direction::In),
            Some(2) => Some(Direction::Out),
            _ => None,
        };
        let protocol = evidence.text("connection_info.protocol_name").and_then(Text::new);
        Some(Network { direction, protocol, source, destination })
    })
}

/// The process of the first evidence that has one.
pub(crate) fn process(event: View<'_>) -> Option<Process<'_>> {
    let process = event.list("evidences").find_map(|evidence| evidence.at("process"))?;
    let pid = |path| process.int(path).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid >= 0);
    let form = Process {
        name: process.first_text(&["name", "file.name"]).and_then(Text::new),
        path: process.text("file.path").and_then(Text::new),
        pid: pid("pid"),
        parent_pid: pid("parent_process.pid"),
        launched_at: process.time("created_time").map(Moment),
        terminated_at: process.time("terminated_time").map(Moment),
    };
    let empty = form.name.is_none() && form.path.is_none() && form.pid.is_none() && form.parent_pid.is_none();
    (!empty || form.launched_at.is_some() || form.terminated_at.is_some()).then_some(form)
}

/// What can be looked for elsewhere: hashes of files, public addresses, names and web addresses, each once.
pub(crate) fn indicators<'v>(event: View<'v>, last_observed_at: Moment, marks: &mut Marks) -> Vec<Indicator<'v>> {
    let source: Option<Text<'v, 64>> = event.text("metadata.product.name").and_then(Text::new);
    let mut kept: Vec<Indicator<'v>> = Vec::new();
    let mut left_out = 0;
    for (r#type, value) in event.list("evidences").flat_map(candidates) {
        if value.encode_utf16().count() > MAX_VALUE {
            left_out += 1;
        } else if kept.iter().any(|known| known.r#type == r#type && known.value == value) {
        } else if kept.len() == MAX_INDICATORS {
            left_out += 1;
        } else {
            kept.push(Indicator { r#type, value, last_observed_at, source: source.clone() });
        }
    }
    marks.add("ThreatIntelIndicators", left_out);
    kept
}

fn candidates(evidence: View<'_>) -> impl Iterator<Item = (IndicatorType, Cow<'_, str>)> {
    let hashes = evidence.list("file.hashes").chain(evidence.list("process.file.hashes")).filter_map(hash);
    let ends =
        ["src_endpoint.ip", "dst_endpoint.ip"].into_iter().filter_map(move |path| evidence.text(path)?.parse().ok());
    let addresses = ends.filter(is_public).map(|address: IpAddr| match address {
        IpAddr::V4(address) => (IndicatorType::Ipv4, address.to_string().into()),
        IpAddr::V6(address) => (IndicatorType::Ipv6, address.to_string().into()),
    });
    let name = evidence.text("query.hostname").filter(|name| !is_blank(name));
    let url = evidence.text("url.url_string").and_then(Url::new);
    hashes
        .chain(addresses)
        .chain(name.map(|name| (IndicatorType::Domain, name.into())))
        .chain(url.map(|url| (IndicatorType::Url, url.as_str().into())))
}

fn hash(fingerprint: View<'_>) -> Option<(IndicatorType, Cow<'_, str>)> {
    let value = fingerprint.text("value").filter(|value| value.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let (r#type, digits) = match fingerprint.int("algorithm_id")? {
        1 => (IndicatorType::Md5, 32),
        2 => (IndicatorType::Sha1, 40),
        3 => (IndicatorType::Sha256, 64),
        4 => (IndicatorType::Sha512, 128),
        _ => return None,
    };
    (value.len() == digits).then_some((r#type, value.into()))
}

fn addresses(end: View<'_>) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    match end.text("ip").and_then(|text| text.parse().ok()) {
        Some(IpAddr::V4(address)) => (Some(address), None),
        Some(IpAddr::V6(address)) => (None, Some(address)),
        None => (None, None),
    }
}

fn port(end: View<'_>) -> Option<u16> {
    end.int("port").and_then(|port| u16::try_from(port).ok())
}

fn domain<'v>(end: View<'v>) -> Option<Text<'v, 128>> {
    end.first_text(&["hostname", "domain"]).and_then(Text::new)
}

/// `MM:MM:MM:SS:SS:SS`.
fn mac(text: &str) -> Option<String> {
    let pairs: Vec<&str> = text.splitn(7, [':', '-']).collect();
    let pair = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (pairs.len() == 6 && pairs.iter().all(pair)).then(|| pairs.join(":"))
}

/// Whether an address is somebody's on the internet: a private one indicates nothing anywhere else.
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let local = address.is_private() || address.is_loopback() || address.is_link_local();
            !(local || shared || a == 0 || a >= 224)
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public(&IpAddr::V4(mapped)),
            None => {
                let first = address.segments().first().copied().unwrap_or_default();
                let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xff00 == 0xff00;
                !(local || address.is_loopback() || address.is_unspecified())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in ["8.8.8.8", "203.0.113.9", "100.128.0.1", "2a00::1", "::ffff:8.8.8.8"] {
            assert!(is_public(&text.parse().unwrap()), "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(&text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_mac_has_six_pairs() {
        assert_eq!(mac("00-0D-83-b1-c0-8e").as_deref(), Some("00:0D:83:b1:c0:8e"));
        for text in ["", "00:0d:83:b1:c0", "00:0d:83:b1:c0:8e:00", "00:0d:83:b1:c0:8", "00:0d:83:b1:c0:zz"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }
}
