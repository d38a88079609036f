//! The same record always has the same identity, a finding keeps its own over every update, and no two resources share one.

use std::collections::BTreeMap;

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use crate::{records, with};

/// The only event of a record.
fn event(mapper: &Mapper<'_>, body: &str) -> Option<Json> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-3-42", enqueued_time: Some(1_767_225_600_000) };
    mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    let [Outcome::Mapped(mapped)] = outcomes.as_slice() else { return None };
    let mut text = String::new();
    write_object(mapper.set().schema(), &mapped.event, &mut text);
    Some(serde_json::from_str(&text).unwrap())
}

fn uid(event: &Json) -> String {
    event["finding_info"]["uid"].as_str().unwrap().to_owned()
}

/// Where a Defender record says which finding it is.
const IDS: [&str; 3] = ["/SystemAlertId", "/properties/systemAlertId", "/id"];

/// Fields of which no update may change the finding's identity.
const UPDATES: [(&str, &str); 7] = [
    ("/properties/status/code", "Healthy"),
    ("/properties/status/severity", "Low"),
    ("/properties/metadata/severity", "Low"),
    ("/properties/displayName", "Another title"),
    ("/Status", "Resolved"),
    ("/Severity", "Low"),
    ("/properties/status", "Resolved"),
];

#[test]
fn a_record_has_the_same_identity_every_time() {
    for version in Version::ALL {
        let (one, other) = (shipped(version).unwrap(), shipped(version).unwrap());
        let options = Options { raw_data: true };
        for case in Case::all(&sources()) {
            for record in records(&case.body) {
                let body = record.to_string();
                let Some(first) = event(&Mapper::new(&one, Options::default()), &body) else { continue };
                assert_eq!(first["metadata"]["uid"], "0123456789ab-3-42-0");
                let again = event(&Mapper::new(&other, options), &body).unwrap();
                assert_eq!(first["metadata"]["uid"], again["metadata"]["uid"]);
                assert_eq!(first["finding_info"]["uid"], again["finding_info"]["uid"]);
            }
        }
    }
}

#[test]
fn a_finding_keeps_its_identity_and_no_other_has_it() {
    for version in Version::ALL {
        let set = shipped(version).unwrap();
        let mapper = Mapper::new(&set, Options::default());
        // By identity: the kind and id that it belongs to, letter case ignored.
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let (mut updated, mut renamed) = (0, 0);
        for case in Case::all(&sources()) {
            let ours = ["defender_", "secure_score", "regulatory_"].iter().any(|start| case.kind.starts_with(start));
            if !ours {
                continue;
            }
            for record in records(&case.body) {
                let Some(plain) = event(&mapper, &record.to_string()) else { continue };
                let own = uid(&plain);
                let Some(place) = IDS.into_iter().find(|place| record.pointer(place).is_some_and(Json::is_string))
                else {
                    continue;
                };
                let id = record.pointer(place).and_then(Json::as_str).unwrap();
                let owner = id.to_lowercase();
                let known = owners.entry(own.clone()).or_insert_with(|| owner.clone());
                assert_eq!(*known, owner, "{}: two findings share {own}", case.path);
                for (field, value) in
                    UPDATES.into_iter().filter(|(field, _)| record.pointer(field).is_some_and(Json::is_string))
                {
                    if let Some(update) = event(&mapper, &with(&record, field, Some(value.into()))) {
                        assert_eq!(uid(&update), own, "{}: {field}", case.path);
                        updated += 1;
                    }
                }
                // Azure writes the same id in other letter case from one event to the next.
                if let Some(shouted) = event(&mapper, &with(&record, place, Some(id.to_uppercase().into()))) {
                    assert_eq!(uid(&shouted), own, "{}: {place} in capitals", case.path);
                }
                // The rule's own name is the same on every resource: another resource's id makes another finding.
                let other = format!("{id}-other");
                let other = event(&mapper, &with(&record, place, Some(other.into()))).unwrap();
                assert_ne!(uid(&other), own, "{}: {place}", case.path);
                renamed += 1;
            }
        }
        assert!(owners.len() > 20 && updated > 30 && renamed > 30, "{} {updated} {renamed}", owners.len());
    }
}
