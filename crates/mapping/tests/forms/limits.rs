//! The documented limits of both forms, checked on JSON. Written down here a second time on purpose: the product's stand in
//! its types.

use serde_json::Value as Json;

/// A text's path and its most characters. `[]` is any element, `{}` any value of a map.
const LENGTHS: [(&str, usize); 38] = [
    ("Id", 512),
    ("ProductArn", 2_048),
    ("ProductName", 128),
    ("CompanyName", 128),
    ("GeneratorId", 512),
    ("AwsAccountId", 12),
    ("Types[]", 256),
    ("FindingProviderFields.Types[]", 256),
    ("Title", 256),
    ("Description", 1_024),
    ("SourceUrl", 2_048),
    ("Severity.Original", 64),
    ("FindingProviderFields.Severity.Original", 64),
    ("Remediation.Recommendation.Text", 512),
    ("Remediation.Recommendation.Url", 2_048),
    ("ProductFields{}", 2_048),
    ("Network.Protocol", 16),
    ("Network.SourceDomain", 128),
    ("Network.DestinationDomain", 128),
    ("Process.Name", 64),
    ("Process.Path", 512),
    ("ThreatIntelIndicators[].Value", 512),
    ("ThreatIntelIndicators[].Source", 64),
    ("Resources[].Id", 512),
    ("Resources[].Region", 16),
    ("Resources[].Details.Other{}", 1_023),
    ("Compliance.RelatedRequirements[]", 512),
    ("Compliance.SecurityControlId", 512),
    ("Vulnerabilities[].Id", 128),
    ("Vulnerabilities[].Vendor.Name", 32),
    ("Vulnerabilities[].Vendor.VendorSeverity", 32),
    ("Vulnerabilities[].RelatedVulnerabilities[]", 128),
    ("Vulnerabilities[].ReferenceUrls[]", 2_048),
    ("Vulnerabilities[].VulnerablePackages[].Name", 256),
    ("Vulnerabilities[].VulnerablePackages[].Version", 256),
    ("Vulnerabilities[].VulnerablePackages[].Remediation", 512),
    ("Vulnerabilities[].Cvss[].BaseVector", 256),
    ("Compliance.StatusReasons[].ReasonCode", 256),
];
/// A list's or map's path and its most elements.
const COUNTS: [(&str, usize); 9] = [
    ("Types", 50),
    ("FindingProviderFields.Types", 50),
    ("ProductFields", 50),
    ("ThreatIntelIndicators", 5),
    ("Resources", 32),
    ("Resources[].Details.Other", 50),
    ("Compliance.RelatedRequirements", 32),
    ("Vulnerabilities", 100),
    ("Vulnerabilities[].VulnerablePackages", 50),
];
/// What every finding has.
const REQUIRED: [&str; 17] = [
    "SchemaVersion",
    "Id",
    "ProductArn",
    "GeneratorId",
    "AwsAccountId",
    "Types",
    "FirstObservedAt",
    "LastObservedAt",
    "CreatedAt",
    "UpdatedAt",
    "Severity",
    "Title",
    "Description",
    "Resources",
    "Workflow",
    "RecordState",
    "FindingProviderFields",
];

/// Everything that is wrong with a finding.
pub(crate) fn finding(json: &str) -> Vec<String> {
    let finding: Json = serde_json::from_str(json).unwrap();
    let mut wrong = Vec::new();
    if json.len() > 240_000 {
        wrong.push(format!("{} bytes", json.len()));
    }
    for name in REQUIRED {
        if finding.get(name).is_none() {
            wrong.push(format!("{name} is missing"));
        }
    }
    for list in ["Types", "Resources"] {
        if finding[list].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("{list} is empty"));
        }
    }
    if finding["CreatedAt"].as_str() > finding["UpdatedAt"].as_str() {
        wrong.push("updated before it was created".to_owned());
    }
    walk("", &finding, &mut wrong);
    wrong
}

fn walk(path: &str, value: &Json, wrong: &mut Vec<String>) {
    let limit = |table: &[(&str, usize)]| table.iter().find(|(known, _)| *known == path).map(|(_, most)| *most);
    let mut at_most = |table: &[(&str, usize)], count: usize| {
        if limit(table).is_some_and(|most| count > most) {
            wrong.push(format!("{path}: {count}"));
        }
    };
    match value {
        Json::Null => wrong.push(format!("{path} is null")),
        Json::String(text) => {
            at_most(&LENGTHS, text.encode_utf16().count());
            if !text.chars().any(|char| !char.is_whitespace() && !char.is_control()) {
                wrong.push(format!("{path} is blank"));
            }
            if path.ends_with("At") && !is_time(text) {
                wrong.push(format!("{path}: {text} is no time"));
            }
        }
        Json::Array(values) => {
            at_most(&COUNTS, values.len());
            values.iter().for_each(|value| walk(&format!("{path}[]"), value, wrong));
        }
        Json::Object(members) => {
            at_most(&COUNTS, members.len());
            let most = [("ProductFields", 128), ("Resources[].Details.Other", 127)];
            let longest = most.iter().find(|(known, _)| *known == path).map(|(_, most)| *most);
            for (name, value) in members {
                match longest {
                    None => walk(format!("{path}.{name}").trim_start_matches('.'), value, wrong),
                    Some(most) => {
                        if name.encode_utf16().count() > most {
                            wrong.push(format!("{path}: {name} is too long"));
                        }
                        walk(&format!("{path}{{}}"), value, wrong);
                    }
                }
            }
        }
        Json::Bool(_) | Json::Number(_) => {}
    }
}

/// `2026-02-03T10:13:14.500Z`, milliseconds or none.
fn is_time(text: &str) -> bool {
    let layout = |layout: &str| {
        let fits = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        text.len() == layout.len() && text.bytes().zip(layout.bytes()).all(fits)
    };
    layout("0000-00-00T00:00:00Z") || layout("0000-00-00T00:00:00.000Z")
}

/// Everything that is wrong with an event's entry of `PutAuditEvents`.
pub(crate) fn audit_event(id: &str, event_data: &str) -> Vec<String> {
    let data: Json = serde_json::from_str(event_data).unwrap();
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    check((1..=128).contains(&id.len()) && id.bytes().all(letters), "id");
    check(event_data.len() <= 256_000, "eventData is too large");
    let lengths = [
        ("/version", 256, true),
        ("/userIdentity/type", 128, true),
        ("/userIdentity/principalId", 1_024, true),
        ("/userAgent", 1_024, false),
        ("/eventSource", 1_024, true),
        ("/eventName", 1_024, true),
        ("/UID", 1_024, true),
        ("/errorCode", 256, false),
        ("/errorMessage", 256, false),
    ];
    for (path, most, required) in lengths {
        match data.pointer(path).map(|text| text.as_str().unwrap()) {
            Some(text) => check((1..=most).contains(&text.encode_utf16().count()), path),
            None => check(!required, path),
        }
    }
    let time = data["eventTime"].as_str().unwrap();
    check(time.len() == 20 && is_time(time), "eventTime");
    check(data["recipientAccountId"] == "111122223333", "recipientAccountId");
    for (name, most) in [("requestParameters", 100_000), ("responseElements", 100_000), ("additionalEventData", 28_000)]
    {
        if let Some(object) = data.get(name) {
            check(object.is_object() && object.to_string().len() <= most, name);
        }
    }
    check(data["additionalEventData"]["ocsf"].is_object(), "the original is missing");
    wrong
}
