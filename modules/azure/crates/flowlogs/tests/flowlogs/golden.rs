//! Cases beside what must become of them. `UPDATE_CASES=1` writes the expected files anew: read them before they are committed.

use serde_json::{Value, json};
use tributary_azure_flowlogs::Made;
use tributary_lake::{QuarantineLimits, QuarantineReader};
use tributary_ocsf::Version;

use crate::{blob, cases, logs, rows};

/// What is in quarantine.
pub(crate) fn quarantine(made: &[Made]) -> Vec<Value> {
    let mut found = Vec::new();
    for object in made.iter().filter_map(|made| made.quarantine.as_ref()) {
        let reader = QuarantineReader::new(&object.bytes[..], QuarantineLimits::default()).unwrap();
        found.extend(reader.map(|entry| serde_json::to_value(entry.unwrap()).unwrap()));
    }
    found
}

#[test]
fn every_case_becomes_what_is_expected_of_it() {
    for (name, bytes) in cases() {
        let (made, counts) = blob(&logs(Version::V1_3_0), &bytes);
        let found = json!({"rows": rows::all(&made), "quarantine": quarantine(&made)});
        assert_eq!(found["rows"].as_array().unwrap().len() as u64, counts.tuples);
        let sum: u64 = counts.quarantined.values().sum();
        assert_eq!(found["quarantine"].as_array().unwrap().len() as u64, sum);
        let path = format!("{}/cases/{}", env!("CARGO_MANIFEST_DIR"), name.replace(".json", ".expected.json"));
        if std::env::var("UPDATE_CASES").is_ok_and(|value| value == "1") {
            std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        }
        let expected: Value = serde_json::from_slice(&std::fs::read(&path).expect(&path)).unwrap();
        assert_eq!(found, expected, "{name}");
        // The older version has all that these rows set.
        let (older, _) = blob(&logs(Version::V1_1_0), &bytes);
        let text = serde_json::to_string(&rows::all(&older))
            .unwrap()
            .replace("\"version\":\"1.1.0\"", "\"version\":\"1.3.0\"");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected["rows"], "{name}");
    }
}
