//! The forms for Security Hub and CloudTrail Lake are what the AWS SDK's own service models take: of every golden case, of
//! every real sample, of the largest and oddest records, in both OCSF versions.

use std::fmt::Write as _;
use std::process::Command;

use bumpalo::Bump;
use serde_json::{Value as Json, json};
use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, Destination, Mapper, MappingSet, Options, Origin, Outcome, Scratch, asff, cloudtrail};
use tributary_ocsf::Version;

use crate::corpus::bodies;
use crate::peers::{TempFile, corpus, python};

/// Both forms of the records of some bodies, one a line.
#[derive(Default)]
struct Forms {
    asff: String,
    cloudtrail: String,
}

impl Forms {
    fn add(&mut self, set: &MappingSet, body: &str, options: Options, destination: &Destination) {
        let arena = Bump::new();
        let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
        let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
        let mapper = Mapper::new(set, options);
        mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
        for outcome in &outcomes {
            let Outcome::Mapped(mapped) = outcome else { continue };
            if let Some(finding) = asff::finding(set.schema(), &mapped.event, destination) {
                let _ = writeln!(self.asff, "{}", finding.json());
            }
            let event = cloudtrail::audit_event(set.schema(), &mapped.event, destination);
            let _ = writeln!(self.cloudtrail, "{}", event.json());
        }
    }

    fn of<'b>(version: Version, bodies: impl Iterator<Item = &'b str>, region: &str) -> Self {
        // In one version with the source's record, in the other without.
        let options = Options { raw_data: version == Version::V1_1_0 };
        let (set, mut forms) = (shipped(version).unwrap(), Self::default());
        let destination = Destination::new("111122223333", region).unwrap();
        bodies.for_each(|body| forms.add(&set, body, options, &destination));
        forms
    }

    fn judge(&self, python: &str, name: &str) {
        for (form, lines) in [("asff", &self.asff), ("cloudtrail", &self.cloudtrail)] {
            let (ok, said) = judge(python, form, name, lines);
            assert!(ok, "{name}:\n{said}");
            assert!(said.contains(&format!("judged {} {form} ", lines.lines().count())), "{said}");
            eprintln!("{name}: {}", said.trim_end());
        }
    }
}

fn judge(python: &str, form: &str, name: &str, lines: &str) -> (bool, String) {
    let file = TempFile::new(&format!("{name}-{form}.ndjson"), lines.as_bytes());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/aws_forms.py");
    let output = Command::new(python).args([script, form]).arg(&file.0).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_sdk_takes_the_forms_of_every_case() {
    let Some(python) = python("forms of the cases by botocore") else { return };
    let cases = Case::all(&sources());
    for (version, region) in Version::ALL.into_iter().zip(["us-gov-west-1", "cn-north-1"]) {
        let forms = Forms::of(version, cases.iter().map(|case| case.body.as_str()), region);
        assert!(forms.asff.lines().count() > 20 && forms.cloudtrail.lines().count() > 40, "too few cases");
        forms.judge(&python, &format!("forms-cases-{version}"));
    }
}

#[test]
fn the_sdk_takes_the_forms_of_every_real_sample() {
    let Some(python) = python("forms of real samples by botocore") else { return };
    let Some(corpus) = corpus("forms of real samples by botocore") else { return };
    let bodies = bodies(&corpus);
    for version in Version::ALL {
        let forms = Forms::of(version, bodies.iter().map(|(_, body)| body.as_str()), "eu-central-1");
        assert!(forms.asff.lines().count() >= 5 && forms.cloudtrail.lines().count() >= 15, "too few samples");
        forms.judge(&python, &format!("forms-corpus-{version}"));
    }
}

/// Records as large and odd as the mapper lets through.
fn hostile() -> Vec<String> {
    let mut bodies = Vec::new();
    for piece in ["x", "é", "😀", "\u{1}x", "\"\\", "/"] {
        let text = |length: usize| piece.repeat(length);
        let id = |number: usize| {
            let name = text(200);
            format!("/subscriptions/0a1b2c3d-0000-4000-8000-000000000001/x{number}/{name}")
        };
        let ids: Vec<Json> = (0..60).map(|n| json!({"Type": "AzureResource", "AzureResourceId": id(n)})).collect();
        let extended: serde_json::Map<String, Json> =
            (0..120).map(|number| (format!("{number:03}{}", text(200)), json!(text(150)))).collect();
        let entities: Vec<Json> = (0..40)
            .map(|number| match number % 3 {
                0 => json!({"Type": "ip", "Address": format!("203.0.113.{number}")}),
                1 => json!({"Type": "process", "ProcessId": number, "CommandLine": text(500),
                    "ImageFile": {"Name": text(400), "Directory": text(900)}}),
                _ => json!({"Type": "account", "Name": text(200)}),
            })
            .collect();
        bodies.push(
            json!({
                "SystemAlertId": text(9_000), "AlertDisplayName": text(3_000), "AlertType": text(2_000),
                "Description": text(9_000), "TimeGenerated": "2026-02-03T10:13:14Z", "Severity": text(100),
                "Intent": "Execution, Exfiltration, Impact, PreAttack", "Status": "New", "ProductName": text(500),
                "VendorName": text(500), "AlertUri": format!("https://example.com/{}", text(3_000)),
                "RemediationSteps": [text(600), text(600)], "ResourceIdentifiers": ids, "Entities": entities,
                "ExtendedProperties": extended,
            })
            .to_string(),
        );
        let cves: Vec<Json> = (0..150)
            .map(|n| json!({"title": format!("CVE-{}-{n}", text(100)), "link": "https://example.com"}))
            .collect();
        bodies.push(
            json!({
                "type": "Microsoft.Security/assessments/subAssessments",
                "id": format!("{}/providers/Microsoft.Security/assessments/a/subAssessments/b", id(0)), "name": "b",
                "properties": {"displayName": text(300), "id": text(2_000), "timeGenerated": "2026-02-01T02:03:04Z",
                    "status": {"code": "Unhealthy", "severity": "High"}, "remediation": text(300),
                    "additionalData": {"cve": cves, "patchable": true}},
            })
            .to_string(),
        );
    }
    bodies
}

#[test]
fn the_sdk_takes_the_forms_of_the_largest_and_oddest() {
    let Some(python) = python("forms of hostile records by botocore") else { return };
    let bodies = hostile();
    for version in Version::ALL {
        let forms = Forms::of(version, bodies.iter().map(String::as_str), "eu-central-1");
        let least = if version == Version::V1_3_0 { bodies.len() } else { bodies.len() / 2 };
        assert!(forms.asff.lines().count() >= least, "{} of {}", forms.asff.lines().count(), bodies.len());
        assert!(forms.asff.contains("tributary/truncated") && forms.asff.contains('…'), "something had to go");
        assert!(forms.cloudtrail.contains("\\\"truncated\\\""), "something had to go");
        forms.judge(&python, &format!("forms-hostile-{version}"));
    }
}

/// A judge that accepts everything has judged nothing.
#[test]
fn the_sdk_refuses_what_is_broken() {
    let Some(python) = python("broken forms by botocore") else { return };
    let cases = Case::all(&sources());
    let alert = cases.iter().find(|case| case.path.ends_with("defender_alert.cases/flat.json")).unwrap();
    let forms = Forms::of(Version::V1_3_0, std::iter::once(alert.body.as_str()), "eu-central-1");
    let finding: Json = serde_json::from_str(&forms.asff).unwrap();
    let entry: Json = serde_json::from_str(&forms.cloudtrail).unwrap();
    // A pointer, what is put there (null: it goes), and what must be said of it.
    let broken = [
        ("/Title", Json::Null, "\"Title\""),
        ("/Title", json!("x".repeat(257)), "Title: 257 characters, at most 256"),
        ("/Title", json!(" "), "does not match"),
        ("/Description", json!("😀".repeat(513)), "Description: 1026 characters, at most 1024"),
        ("/Id", json!("x".repeat(513)), "Id: 513 characters"),
        ("/NoSuch", json!(1), "NoSuch"),
        ("/Resources", json!([]), "Resources: 0 elements, at least 1"),
        ("/Resources/0/Id", json!("x".repeat(513)), "Resources[0].Id: 513 characters"),
        ("/Resources/0/Details/Other/name", json!("x".repeat(1_024)), "1024 characters, at most 1023"),
        ("/Resources/0/Partition", json!("aws-moon"), "is none of"),
        ("/Resources/0/Region", json!("us-east-1"), "lies elsewhere"),
        ("/Types", json!(vec!["TTPs"; 51]), "Types: 51 elements, at most 50"),
        ("/Types", json!(["Tactics/Execution"]), "not in the taxonomy"),
        ("/FindingProviderFields/Types", json!(["TTPs/a/b/c"]), "not in the taxonomy"),
        ("/Severity/Label", json!("WRONG"), "is none of"),
        ("/Severity/Original", json!("x".repeat(65)), "65 characters, at most 64"),
        ("/UpdatedAt", json!("2026-02-03 10:13:15"), "is no timestamp"),
        ("/UpdatedAt", json!("2026-02-01T00:00:00Z"), "before CreatedAt"),
        ("/RecordState", json!("CLOSED"), "is none of"),
        ("/Workflow/Status", json!("DONE"), "is none of"),
        ("/ProductFields/aws~1x", json!("y"), "AWS's namespace"),
        ("/ProductFields/x", json!("x".repeat(2_049)), "2049 characters, at most 2048"),
        (
            "/ProductArn",
            json!("arn:aws-cn:securityhub:eu-central-1:111122223333:product/111122223333/default"),
            "lies in",
        ),
        ("/ThreatIntelIndicators/0/Type", json!("IP"), "is none of"),
        ("/Network/SourceIpV4", json!("2001:db8::1"), "no such address"),
        ("/Process/Pid", json!("484"), "Pid"),
    ];
    let mut findings: Vec<(Json, &str)> =
        broken.iter().map(|(pointer, value, because)| (put(&finding, pointer, value), *because)).collect();
    let many: serde_json::Map<String, Json> = (0..51).map(|number| (number.to_string(), json!("x"))).collect();
    findings.push((put(&finding, "/ProductFields", &Json::Object(many)), "51 pairs, at most 50"));
    let large: serde_json::Map<String, Json> =
        (0..50).map(|n| (n.to_string(), json!("\u{1}".repeat(1_000) + "x"))).collect();
    findings.push((put(&finding, "/ProductFields", &Json::Object(large)), "bytes, at most 240000"));
    all_refused(&python, "asff", &findings);

    let mut entries = vec![
        (put(&entry, "/id", &json!("a/b")), "does not match"),
        (put(&entry, "/id", &json!("x".repeat(129))), "129 characters, at most 128"),
        (put(&entry, "/eventData", &json!({})), "eventData"),
        (put(&entry, "/eventDataChecksum", &json!("x")), "eventDataChecksum"),
    ];
    let data: Json = serde_json::from_str(entry["eventData"].as_str().unwrap()).unwrap();
    let broken = [
        ("/eventTime", json!("2026-02-03"), "eventTime"),
        ("/eventName", Json::Null, "eventName: missing"),
        ("/userIdentity/principalId", json!("x".repeat(1_025)), "userIdentity.principalId: 1025 characters"),
        ("/additionalEventData", json!({"x": "x".repeat(28_000)}), "additionalEventData: 28008 bytes"),
        ("/recipientAccountId", json!("1"), "recipientAccountId"),
        ("/sourceIPAddress", json!("here"), "sourceIPAddress"),
        ("/awsRegion", json!("eu-west-1"), "awsRegion: not in the schema"),
    ];
    for (pointer, value, because) in &broken {
        let text = put(&data, pointer, value).to_string();
        let entry = put(&put(&entry, "/eventData", &json!(text)), "/eventDataChecksum", &Json::Null);
        entries.push((entry, *because));
    }
    all_refused(&python, "cloudtrail", &entries);
}

/// Each of these is refused, for its reason.
fn all_refused(python: &str, form: &str, broken: &[(Json, &str)]) {
    let lines: String = broken.iter().map(|(value, _)| format!("{value}\n")).collect();
    let (ok, said) = judge(python, form, "forms-broken", &lines);
    assert!(!ok, "{said}");
    for (number, (_, because)) in (1..).zip(broken) {
        let prefix = format!("{number}: ");
        let refused = said.lines().any(|line| line.starts_with(&prefix) && line.contains(because));
        assert!(refused, "{number}: {because} was accepted:\n{said}");
    }
}

fn put(json: &Json, pointer: &str, value: &Json) -> Json {
    let mut json = json.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name).unwrap();
    } else {
        parent.insert(name.replace("~1", "/"), value.clone());
    }
    json
}
