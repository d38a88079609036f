//! Azure Firewall's structured logs: rules and flows, DNS, detections. They have no id of their own; the marker is `relayId`.

use crate::json::{Json, object};
use crate::scene::Scene;

const NETWORK: [&str; 3] = ["TCP", "TCP", "UDP"];

fn entry(s: &mut Scene, category: &str, marker: &str, properties: Json) -> Json {
    let firewall = s.resource_of("Microsoft.Network/azureFirewalls", "fw-edge");
    let at = s.moment();
    object! {
        "relayId" => marker, "time" => s.any_time(at), "resourceId" => s.loud(&firewall), "category" => category,
        "tenantId" => s.rng.maybe(20, firewall.tenant), "location" => s.rng.maybe(20, firewall.region),
        "properties" => if s.rng.percent(96) { properties } else { Json::from(properties.text()) },
    }
}

/// The rule that decided; nothing stands there where none did.
fn rule(s: &mut Scene, properties: &mut Json, group: &str, name: &str) {
    let decided = s.rng.percent(75);
    for (key, value) in
        [("Policy", "hub-policy"), ("RuleCollectionGroup", group), ("RuleCollection", "spokes"), ("Rule", name)]
    {
        properties.push(key, if decided { value } else { "" });
    }
}

/// A request that the firewall let through or refused by its host.
pub(super) fn application_rule(s: &mut Scene, marker: &str) -> Json {
    let host = s.host();
    let (source, port) = (s.address(), s.port());
    let (action, reason) = s.rng.pick(&[
        ("Allow", ""),
        ("Allow", ""),
        ("Deny", "Default Action"),
        ("Deny", "SNI TLS extension was missing"),
    ]);
    let (protocol, at) = s.rng.pick(&[("HTTPS", 443), ("HTTPS", 443), ("HTTP", 80), ("Mssql", 1_433)]);
    let mut properties = object! {
        "Action" => action, "ActionReason" => reason, "DestinationPort" => at,
        "Fqdn" => if reason.starts_with("SNI") { "" } else { host }, "Protocol" => protocol,
        "SourceIp" => source, "SourcePort" => port,
        "TargetUrl" => if protocol == "HTTP" { format!("{host}/play?level=1") } else { String::new() },
        "IsTlsInspected" => s.rng.percent(10), "IsExplicitProxyRequest" => false,
        "WebCategory" => s.rng.pick(&["", "Business", "Games"]),
    };
    rule(s, &mut properties, "DefaultApplicationRuleCollectionGroup", "web-out");
    entry(s, "AZFWApplicationRule", marker, properties)
}

/// A connection: by a rule, through DNAT, in a trace, or among those with most bytes.
pub(super) fn network_rule(s: &mut Scene, marker: &str) -> Json {
    let (source, port, target) = (s.ipv4(), s.port(), s.ipv4());
    let mut properties = object! { "Protocol" => s.rng.pick(&NETWORK), "SourceIp" => source, "SourcePort" => port, "DestinationIp" => target };
    let category = match s.rng.below(10) {
        0 => {
            properties.push("DestinationPort", 2_222);
            properties.push("TranslatedIp", s.ipv4());
            properties.push("TranslatedPort", 22);
            rule(s, &mut properties, "DefaultDnatRuleCollectionGroup", "ssh-nat");
            "AZFWNatRule"
        }
        1 => {
            properties.push("DestinationPort", 443);
            properties.push("Action", "Log");
            properties.push("ActionReason", "Additional TCP Log");
            properties.push("Flag", s.rng.pick(&["SYN-ACK", "FIN", "RST", "INVALID"]));
            "AZFWFlowTrace"
        }
        2 => {
            properties.push("DestinationPort", 443);
            properties.push("FlowRate", 96.5);
            "AZFWFatFlow"
        }
        _ => {
            properties.push("DestinationPort", s.rng.pick(&[22, 53, 443, 1_688, 3_389]));
            properties.push("Action", s.rng.pick(&["Allow", "Allow", "Allow", "Deny"]));
            properties.push("ActionReason", s.rng.pick(&["", "Default Action"]));
            rule(s, &mut properties, "DefaultNetworkRuleCollectionGroup", "spokes-to-dns");
            "AZFWNetworkRule"
        }
    };
    entry(s, category, marker, properties)
}

/// A query with its answer, or a name that the firewall could not resolve for its own rules.
pub(super) fn dns(s: &mut Scene, marker: &str) -> Json {
    let host = s.host();
    if s.rng.percent(10) {
        let mut properties =
            object! { "Fqdn" => host, "Error" => format!("lookup {host} on 192.0.2.53:53: no such host") };
        rule(s, &mut properties, "DefaultNetworkRuleCollectionGroup", "by-name");
        return entry(s, "AZFWFqdnResolveFailure", marker, properties);
    }
    let (source, port) = (s.address(), s.port());
    let (name, kind) = s.rng.pick(&[
        (format!("{host}."), "A"),
        (format!("{host}."), "AAAA"),
        ("_ldap._tcp.contoso.example.".to_owned(), "SRV"),
    ]);
    let (code, error) = s.rng.pick(&[
        ("NOERROR", ""),
        ("NOERROR", ""),
        ("NXDOMAIN", ""),
        ("SERVFAIL", ""),
        ("", "read udp 192.0.2.4:50140->192.0.2.53:53: i/o timeout"),
    ]);
    let properties = object! {
        "DnssecOkBit" => false, "EDNS0BufferSize" => 1_232, "ErrorMessage" => error,
        "ErrorNumber" => if error.is_empty() { 0 } else { 2 }, "Protocol" => s.rng.pick(&["udp", "tcp"]),
        "QueryClass" => "IN", "QueryId" => s.rng.between(1, 65_535), "QueryName" => name, "QueryType" => kind,
        "RequestDurationSecs" => 0.0042, "RequestSize" => s.rng.between(40, 90),
        "ResponseCode" => code, "ResponseFlags" => "qr,rd,ra", "ResponseSize" => s.rng.between(0, 500),
        "SourceIp" => source, "SourcePort" => port,
    };
    entry(s, "AZFWDnsQuery", marker, properties)
}

/// A signature that hit.
pub(super) fn idps(s: &mut Scene, marker: &str) -> Json {
    let (source, port, target) = (s.ipv4(), s.port(), s.ipv4());
    let (id, severity, category, text) = s.rng.pick(&[
        ("2900101", 1, "Attempted User Privilege Gain", "Database listener overflow attempt"),
        ("2900102", 2, "Potential Corporate Privacy Violation", "Outdated TLS in use"),
        ("2900104", 3, "Misc activity", "Ping of a scanner (*)"),
    ]);
    let properties = object! {
        "Action" => s.rng.pick(&["alert", "alert", "drop", "Deny"]), "Category" => category, "Description" => text,
        "DestinationIp" => target,
        "DestinationPort" => if severity == 3 { Json::from("") } else { Json::Int(1_521) },
        "Protocol" => if severity == 3 { "ICMP" } else { "TCP" }, "Severity" => severity,
        "SignatureId" => id, "SourceIp" => source,
        "SourcePort" => if severity == 3 { Json::from("") } else { Json::Int(port) },
    };
    entry(s, "AZFWIdpsSignature", marker, properties)
}

/// A connection from or to an address or name that is known to be bad.
pub(super) fn threat_intel(s: &mut Scene, marker: &str) -> Json {
    let (source, port, target) = (s.ipv4(), s.port(), s.ipv4());
    let named = s.rng.percent(50);
    let properties = object! {
        "Action" => s.rng.pick(&["Deny", "Alert"]), "DestinationIp" => if named { String::new() } else { target },
        "DestinationPort" => if named { 80 } else { 443 },
        "Fqdn" => if named { "bots.contoso.example" } else { "" }, "IsTlsInspected" => false,
        "Protocol" => if named { "HTTP" } else { "TCP" }, "SourceIp" => source, "SourcePort" => port,
        "ThreatDescription" => s.rng.pick(&["Bot Networks", "Destination reported by threat intelligence"]),
        "TargetUrl" => if named { "http://bots.contoso.example/gate.php?id=1" } else { "" },
    };
    entry(s, "AZFWThreatIntel", marker, properties)
}
