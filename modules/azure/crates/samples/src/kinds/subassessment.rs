//! Sub-assessments: single findings below a recommendation, with and without a CVE, in every spelling that was seen.

use super::posture::{RULES, enrich};
use crate::json::{Json, list, object, pascal};
use crate::scene::Scene;

/// One finding; the marker is its name, the last segment of its id.
pub(crate) fn subassessment(s: &mut Scene, marker: &str) -> Json {
    let (rule, _, _, _, kind, stem, _) = s.rng.pick(&RULES);
    let resource = s.resource_of(kind, stem);
    let segment = s.rng.pick(&["subAssessments", "subAssessments", "subassessments"]);
    let id = format!("{}/providers/Microsoft.Security/assessments/{rule}/{segment}/{marker}", resource.id);
    let number = s.rng.between(10_000, 99_999);
    let cve = format!("CVE-2099-{number}");
    let generated = s.moment();
    let (check, additional) = additional(s, &cve);
    let check = match check {
        Some(check) => check,
        None => format!("{}", s.rng.between(100_000, 379_999)),
    };
    let more = s.rng.between(100, 900);
    let mut record = object! {
        "tenantId" => s.optional(90, resource.tenant),
        "type" => s.rng.pick(&["Microsoft.Security/assessments/subAssessments", "Microsoft.Security/assessments/subassessments"]),
        "id" => id,
        "name" => marker,
        "properties" => object! {
            "id" => check,
            "displayName" => s.rng.pick(&[
                "OpenExample: heap overflow in the parser", "Example Linux security update for libexample",
                "Weak cipher suites are offered", "Firewall rules at the server level should be tracked", "Outdated runtime 'Node 99'",
            ]),
            "status" => object! {
                "code" => s.rng.pick(&["Unhealthy", "Unhealthy", "Unhealthy", "Healthy", "NotApplicable"]),
                "cause" => s.optional(10, "Exempt"),
                "description" => s.optional(30, "The resource is unhealthy"),
                "severity" => s.optional(95, s_severity(number)),
            },
            "remediation" => s.optional(90, "Upgrade the package to a fixed version."),
            "impact" => s.optional(80, "An attacker could run code."),
            "category" => s.rng.pick(&["N/A", "Backdoors and trojan horses", "Ubuntu", "AuthenticationAndAuthorization"]),
            "description" => s.prose(usize::try_from(more).unwrap_or_default()),
            "timeGenerated" => s.iso(generated),
            "resourceDetails" => object! { "source" => "Azure", "id" => &resource.id },
            "additionalData" => additional,
        },
    };
    enrich(s, &mut record, "subAssessmentEventDataEnrichment");
    if s.rng.percent(20) {
        return with_types(record.renamed(pascal));
    }
    record
}

fn s_severity(number: i64) -> &'static str {
    match number % 10 {
        0 => "Critical",
        1..=3 => "High",
        4..=7 => "Medium",
        _ => "Low",
    }
}

/// The check's id where the form fixes it, and the scanner's own data.
fn additional(s: &mut Scene, cve: &str) -> (Option<String>, Json) {
    let second = cve.replace("2099", "2098");
    let link = format!("https://cve.contoso.example/{cve}");
    let published = s.rng.pick(&["2025-11-01T00:00:00.0000000Z", "2025-11-01T00:00:00"]);
    let cvss = object! { "2.0" => object! { "base" => 6.5 }, "3.0" => object! { "base" => s.rng.pick(&[0.0, 4.3, 7.5, 9.8, 10.0]) } };
    match s.rng.below(9) {
        // A container image with a list of CVEs.
        0..=2 => (
            None,
            object! {
                "assessedResourceType" => s.rng.pick(&["ContainerRegistryVulnerability", "AzureContainerRegistryVulnerability"]),
                "type" => "Vulnerability", "cvss" => cvss, "patchable" => s.rng.percent(70), "publishedTime" => published,
                "cve" => list![object! { "title" => cve, "link" => &link }, object! { "title" => second, "link" => &link }],
                "vendorReferences" => list![object! { "title" => "EXAMPLE-2099:1", "link" => "https://advisories.contoso.example/1" }],
                "repositoryName" => "shop/checkout", "imageDigest" => format!("sha256:{}", s.rng.hex(64)),
            },
        ),
        // A machine: one CVE as one object, or in the free dictionary, or as the check's own id.
        3 => (
            None,
            object! { "assessedResourceType" => "ServerVulnerability", "cve" => object! { "title" => cve, "link" => &link }, "cvssV30Score" => 7.8, "patchable" => true },
        ),
        4 => (
            None,
            object! { "assessedResourceType" => "ServerVulnerabilityTvm", "data" => object! { "cve" => list![object! { "title" => cve, "link" => &link }], "cvss" => cvss, "patchable" => s.rng.percent(50) } },
        ),
        5 => (
            Some(cve.to_owned()),
            object! { "assessedResourceType" => "ManagedAggregatedServerVulnerabilityTvm", "cves" => list![object! { "name" => cve }], "softwareName" => "example-lib", "softwareVersion" => "1.0.2" },
        ),
        6 => (Some(cve.to_owned()), object! { "assessedResourceType" => "GeneralVulnerability" }),
        // No CVE at all: a check that failed or passed.
        7 => (
            Some("VA2065".to_owned()),
            object! { "assessedResourceType" => "SqlServerVulnerability", "type" => "AzureDatabase", "query" => "SELECT name FROM sys.database_firewall_rules", "benchmarks" => list![] },
        ),
        _ => (
            Some(s.rng.guid()),
            object! { "assessedResourceType" => s.rng.pick(&["GeneralVulnerability", "ServerVulnerability"]), "data" => object! { "k8s" => "true" }, "cve" => list![] },
        ),
    }
}

/// The serializer's `$type` at every level of a record in PascalCase.
fn with_types(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let typed = std::iter::once(("$type".to_owned(), Json::from("Contoso.Example.Models.Resource, Models")));
            Json::Object(typed.chain(members.into_iter().map(|(name, value)| (name, with_types(value)))).collect())
        }
        Json::List(values) => Json::List(values.into_iter().map(with_types).collect()),
        leaf => leaf,
    }
}
