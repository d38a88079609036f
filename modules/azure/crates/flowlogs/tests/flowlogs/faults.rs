//! What is broken or unknown harms nothing beside it.

use serde_json::{Value, json};
use tributary_azure_flowlogs::Cutter;
use tributary_ocsf::Version;

use crate::golden::quarantine;
use crate::{blob, convert, logs, rows};

fn flows(tuples: &[String]) -> Value {
    json!({"flows": [{"aclID": "a", "flowGroups": [{"rule": "r", "flowTuples": tuples}]}]})
}

fn record(tuples: &[String]) -> Value {
    json!({"time": "2026-03-02T12:00:30Z", "macAddress": "000D3A000001", "category": "FlowLogFlowEvent", "flowRecords": flows(tuples)})
}

/// A tuple that its source port tells from others.
fn tuple(port: usize, state: &str, encryption: &str) -> String {
    format!("1772452800000,10.0.0.4,192.0.2.1,{port},2,6,O,{state},{encryption},1,2,3,4")
}

fn ports(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["src_endpoint"]["port"].as_u64().unwrap()).collect()
}

#[test]
fn a_nested_record_that_is_refused_takes_none_of_its_siblings_along() {
    let good = |port| record(&[tuple(port, "E", "NX")]).to_string();
    let long = record(&[tuple(90, "E", "NX")])
        .to_string()
        .replace("\"rule\":\"r\"", &format!("\"rule\":\"{}\"", "r".repeat(3_000)));
    let broken = good(91).replace("]}]}]}", "]}]}}");
    let other = json!({"category": "AuditEvent", "flowRecords": flows(&[tuple(92, "E", "NX")])}).to_string();
    let deepest = json!({"records": [{"records": [{"records": [{"records": [record(&[tuple(93, "E", "NX")])]}]}]}]});
    let inner = format!("{{\"records\":[{},7,{}]}}", good(3), good(4));
    let whole = format!(
        "{{\"records\":[{{\"category\":\"FlowLogFlowEvent\",\"flowRecords\":{},\"records\":[{},{long},{other},{inner},{deepest},{}]}},{}]}}",
        flows(&[tuple(1, "E", "NX")]),
        good(2),
        good(5),
        good(6)
    );
    let (made, counts) = blob(&logs(Version::V1_3_0), whole.as_bytes());
    let mut found = ports(&rows::all(&made));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4, 5, 6]);
    let refused = quarantine(&made);
    let places: Vec<&Value> = refused.iter().map(|entry| &entry["position"]["nested"]).collect();
    assert_eq!(places, [&json!([1]), &json!([2]), &json!([3, 1]), &json!([4, 0, 0, 0])], "{refused:#?}");
    assert_eq!(counts.quarantined.values().sum::<u64>(), 4);
    assert!(
        refused[0]["raw"].as_str().unwrap().contains(",90,") && !refused[0]["raw"].as_str().unwrap().contains(",2,2,6")
    );
    // Broken so that where its siblings end cannot be told: the record around it goes as a whole.
    let whole = format!("{{\"records\":[{{\"records\":[{},{broken},{}]}},{}]}}", good(1), good(2), good(3));
    let (made, _) = blob(&logs(Version::V1_3_0), whole.as_bytes());
    let raw: String = quarantine(&made).iter().map(|entry| entry["raw"].as_str().unwrap().to_owned()).collect();
    for port in [1, 2, 91, 3] {
        let in_lake = ports(&rows::all(&made)).contains(&port);
        assert!(in_lake != raw.contains(&format!(",{port},2,6")), "{port} is in one place");
    }
}

#[test]
fn what_was_dropped_for_want_of_encryption_was_not_allowed() {
    let words = [
        "",
        "X",
        "NX",
        "NX_HW_NOT_SUPPORTED",
        "NX_LOCAL_DST",
        "NX_FALLBACK",
        "NX_SW_NOT_READY",
        "NX_NOT_ACCEPTED",
        "NX_NOT_SUPPORTED",
    ];
    let tuples: Vec<String> = ["B", "C", "E", "D", "Z"]
        .iter()
        .flat_map(|state| words.map(|word| format!("1772452800000,10.0.0.4,192.0.2.1,1,2,6,O,{state},{word},,,,")))
        .collect();
    let (made, _) = blob(&logs(Version::V1_3_0), format!("[{}]", record(&tuples)).as_bytes());
    let rows = rows::all(&made);
    assert_eq!(rows.len(), tuples.len());
    for row in rows {
        let word = row["unmapped"]["encryption"].as_str().unwrap_or_default();
        let activity = row["activity_id"].as_i64().unwrap();
        let dropped = matches!(word, "NX_SW_NOT_READY" | "NX_NOT_ACCEPTED" | "NX_NOT_SUPPORTED");
        let expected = match (activity, dropped) {
            (5, _) | (_, true) => (2, "Denied", 2, "Blocked"),
            (99, false) => (0, "Unknown", 0, "Unknown"),
            _ => (1, "Allowed", 1, "Allowed"),
        };
        let found = (
            row["action_id"].as_i64().unwrap(),
            row["action"].as_str().unwrap(),
            row["disposition_id"].as_i64().unwrap(),
            row["disposition"].as_str().unwrap(),
        );
        assert_eq!(found, expected, "{activity} {word}");
    }
}

#[test]
fn many_made_up_words_crowd_out_nothing_that_is_known() {
    let odd = |from: usize| (from..from + 400).map(|at| tuple(at, &format!("S{at}"), &format!("W{at}")));
    let known = ["B", "C", "E", "D"].iter().zip(["X", "NX_FALLBACK", "NX_NOT_SUPPORTED", "NX"]).enumerate();
    let known: Vec<String> = known.map(|(at, (state, word))| tuple(1 + at, state, word)).collect();
    let one: Vec<String> = odd(1_000).chain(known.clone()).collect();
    let few: Vec<Value> = (0..50)
        .map(|at| record(&[tuple(10_000 + at, &format!("T{at}"), "NX"), tuple(20_000 + at, "E", &format!("V{at}"))]))
        .collect();
    let all: Vec<String> = few.iter().chain([&record(&one)]).chain(&few).map(ToString::to_string).collect();
    let (made, counts) = blob(&logs(Version::V1_3_0), format!("[{}]", all.join(",")).as_bytes());
    let rows = rows::all(&made);
    assert_eq!(rows.len() + quarantine(&made).len(), 404 + 200, "nothing is lost");
    assert_eq!(counts.quarantined.keys().copied().collect::<Vec<_>>(), ["invalid"]);
    let found = ports(&rows);
    for port in (1..=4).chain((0..50).flat_map(|at| [10_000 + at, 20_000 + at])) {
        let times = if port > 4 { 2 } else { 1 };
        assert_eq!(found.iter().filter(|found| **found == port).count(), times, "{port}");
    }
    for row in &rows {
        let port = row["src_endpoint"]["port"].as_u64().unwrap();
        let (name, word) = (row["activity_name"].as_str().unwrap(), row["unmapped"]["encryption"].as_str().unwrap());
        match port {
            1_000..2_000 => assert_eq!((name, word), (&*format!("S{port}"), &*format!("W{port}"))),
            10_000..20_000 => assert_eq!((name, word), (&*format!("T{}", port - 10_000), "NX")),
            20_000.. => assert_eq!((name, word), ("Close", &*format!("V{}", port - 20_000))),
            _ => assert!(matches!(name, "Open" | "Traffic" | "Close" | "Refuse")),
        }
    }
    // However it is cut.
    let pieces: Vec<u8> = format!("[{}]", all.join(",")).into_bytes();
    let (again, _) =
        convert(&logs(Version::V1_3_0), Cutter::blob(), "PT1H.json", &pieces.chunks(97).collect::<Vec<_>>(), |_| true);
    assert_eq!(rows::all(&again), rows);
}
