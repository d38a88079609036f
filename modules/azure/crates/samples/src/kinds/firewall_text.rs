//! Azure Firewall's logs before the structured ones: texts in `properties.msg`, in many grammars. The marker is `relayId`.

use crate::json::{Json, object};
use crate::scene::Scene;

fn entry(s: &mut Scene, category: &str, operation: &str, marker: &str, text: String) -> Json {
    let firewall = s.resource_of("Microsoft.Network/azureFirewalls", "fw-edge");
    let at = s.moment();
    object! {
        "relayId" => marker, "time" => s.any_time(at), "resourceId" => s.loud(&firewall), "category" => category,
        "operationName" => operation,
        "properties" => object! { "msg" => text },
    }
}

/// What follows the decision where a rule made it.
fn rule(s: &mut Scene, name: &str) -> String {
    match s.rng.below(3) {
        0 => format!(" Policy: hub-policy. Rule Collection Group: DefaultGroup. Rule Collection: spokes. Rule: {name}"),
        1 => format!(" Rule Collection: spokes. Rule: {name}"),
        _ => " ".to_owned(),
    }
}

/// A request by its host.
pub(super) fn application(s: &mut Scene, marker: &str) -> Json {
    let (source, port, host) = (s.ipv4(), s.port(), s.host());
    let rule = rule(s, "web-out");
    let text = match s.rng.below(5) {
        0 => format!("HTTPS request from {source}:{port}. Action: Deny. Reason: SNI TLS extension was missing."),
        1 => format!(
            "HTTPS request from {source}:{port} to {host}:443. Action: Deny. No rule matched. Proceeding with default action"
        ),
        2 => format!("HTTP  request from {source}:{port} to {host}:80. Url: {host}/abc=?x=1. Action: Allow.{rule}"),
        3 => format!("MSSQL request from {source}:{port} to orders.contoso.example:1433. Action: Allow.{rule}"),
        _ => format!("HTTPS request from {source}:{port} to {host}:443. Action: Allow.{rule}"),
    };
    entry(s, "AzureFirewallApplicationRule", "AzureFirewallApplicationRuleLog", marker, text)
}

/// A connection, a detection, or a name that could not be resolved.
pub(super) fn network(s: &mut Scene, marker: &str) -> Json {
    let (source, port, target) = (s.ipv4(), s.port(), s.ipv4());
    let rule = rule(s, "spokes-out");
    let (operation, text) = match s.rng.below(10) {
        0 => ("AzureFirewallNatRuleLog", format!("TCP request from {source}:{port} to {target}:2222 was DNAT'ed to 192.0.2.22:22")),
        1 => ("AzureFirewallThreatIntelLog", format!("HTTP request from {source}:{port} to bots.contoso.example:80. Url: bots.contoso.example/gate.php?id=1. Action: Deny. ThreatIntel: Bot Networks")),
        2 => ("AzureFirewallIDSLog", format!("TCP request from {source}:{port} to {target}:1521. Action: alert. Signature: 2900101. IDS: Database listener overflow attempt. Priority: 1. Classification: Attempted User Privilege Gain")),
        3 => ("AzureFirewallDNSResolutionFailureLog", "Failed to resolve FQDN gone.contoso.example. Error lookup gone.contoso.example on 127.0.0.53:53: server misbehaving. Rule Collection: hub-policy:g:by-name. Rule: to-gone".to_owned()),
        4 => ("AzureFirewallNetworkRuleLog", format!("ICMP Type=8 request from {source} to {target}. Action: Deny. ")),
        5 => ("AzureFirewallNetworkRuleLog", format!("TCP request from 2001:db8::10:{port} to 2001:db8:1::7:443. Action: Allow. ")),
        6 => ("AzureFirewallNetworkRuleLog", format!("TCP request from {source}:{port} to {target}:3389. Action: Allow..{rule}")),
        _ => {
            let (protocol, action) = s.rng.pick(&[("TCP", "Allow"), ("UDP", "Allow"), ("TCP", "Deny")]);
            ("AzureFirewallNetworkRuleLog", format!("{protocol} request from {source}:{port} to {target}:443. Action: {action}.{rule}"))
        }
    };
    entry(s, "AzureFirewallNetworkRule", operation, marker, text)
}

/// A query with its answer, or one that could not be passed on.
pub(super) fn dns(s: &mut Scene, marker: &str) -> Json {
    let (source, port, host) = (s.ipv4(), s.port(), s.host());
    let (kind, code, size) = s.rng.pick(&[
        ("A", "NOERROR qr,rd,ra", 210),
        ("AAAA", "NXDOMAIN qr,aa,rd,ra", 120),
        ("PTR", "SERVFAIL qr,rd", 0),
    ]);
    let text = if s.rng.percent(15) {
        format!(" Error: 2 {host}. A: read udp 192.0.2.4:{port}->192.0.2.53:53: i/o timeout")
    } else {
        format!(
            "DNS Request: {source}:{port} - {} {kind} IN {host}. udp 58 false 512 {code} {size} 0.0034s",
            s.rng.between(1, 65_535)
        )
    };
    entry(s, "AzureFirewallDnsProxy", "AzureFirewallDnsProxyLog", marker, text)
}
