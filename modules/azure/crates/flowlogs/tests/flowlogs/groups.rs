//! Where rows lie: accounts, days, sizes.

use serde_json::json;
use tributary_azure_flowlogs::{Cutter, PLANNED_ROWS, RecordKey, Source, generate};
use tributary_batch::BatchId;
use tributary_ocsf::Version;

use crate::golden::quarantine;
use crate::{NOON, blob, convert, logs, rows};

fn record(subscription: &str, time: &str, tuples: &[String]) -> String {
    let target =
        format!("/subscriptions/{subscription}/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v");
    json!({"time": time, "macAddress": "000D3A000001", "category": "FlowLogFlowEvent", "targetResourceID": target,
        "flowRecords": {"flows": [{"aclID": "a", "flowGroups": [{"rule": "r", "flowTuples": tuples}]}]}})
    .to_string()
}

fn tuple(time: i64) -> String {
    format!("{time},10.0.0.4,192.0.2.1,1,2,6,O,E,NX,1,2,3,4")
}

const MIDNIGHT: i64 = 1_772_409_600_000;
const ONE: &str = "0A1B2C3D-0000-4000-8000-000000000001";

#[test]
fn an_object_holds_one_account_and_day_sorted_by_time() {
    let records = [
        record(
            ONE,
            "2026-03-02T00:00:30Z",
            &[tuple(MIDNIGHT + 5), tuple(MIDNIGHT - 5), tuple(MIDNIGHT), tuple(MIDNIGHT - 7)],
        ),
        record("0A1B2C3D-0000-4000-8000-000000000002", "2026-03-02T00:00:30Z", &[tuple(MIDNIGHT)]),
        record("../escape", "2026-03-02T00:00:30Z", &[tuple(MIDNIGHT + 1)]),
        // Years before its record: filed under the record's day, and marked.
        record(ONE, "2026-03-02T00:00:30Z", &[tuple(1_262_304_000_000)]),
    ];
    let (made, counts) = blob(&logs(Version::V1_3_0), format!("[{}]", records.join(",")).as_bytes());
    assert_eq!(made.len(), 1);
    assert_eq!((counts.tuples, counts.objects, counts.outside_window), (7, 4, 1));
    let found: Vec<(String, Vec<i64>)> = made[0]
        .objects
        .objects
        .iter()
        .map(|object| {
            (object.key.clone(), rows::of(&object.bytes).iter().map(|row| row["time"].as_i64().unwrap()).collect())
        })
        .collect();
    let key = |account: &str, day: &str| {
        format!("ext/azure-network/1.3.0/region=eu-west-1/accountId={account}/eventDay={day}/part.parquet")
    };
    let own = "external_0a1b2c3d-0000-4000-8000-000000000001";
    assert_eq!(
        found,
        [
            (key("external", "20260302"), vec![MIDNIGHT + 1]),
            (key(own, "20260301"), vec![MIDNIGHT - 7, MIDNIGHT - 5]),
            (key(own, "20260302"), vec![1_262_304_000_000, MIDNIGHT, MIDNIGHT + 5]),
            (key("external_0a1b2c3d-0000-4000-8000-000000000002", "20260302"), vec![MIDNIGHT]),
        ]
    );
    let marked = rows::all(&made).iter().filter(|row| row["unmapped"]["tributary.event_day"].is_string()).count();
    assert_eq!(marked, 1);
    // What the staged form checks of keys and counts holds.
    let outcome = made[0].outcome();
    assert_eq!(outcome.manifest().counts.mapped, 7);
}

#[test]
fn many_made_up_accounts_make_few_objects() {
    let records: Vec<String> = (0..400)
        .map(|at| record(&format!("0A1B2C3D-0000-4000-8000-{at:012}"), "2026-03-02T00:00:30Z", &[tuple(MIDNIGHT)]))
        .collect();
    let (made, counts) = blob(&logs(Version::V1_3_0), format!("[{}]", records.join(",")).as_bytes());
    assert_eq!((counts.tuples, counts.objects, made.len()), (400, 256, 1));
    assert_eq!(counts.over_group_limit, 145);
}

#[test]
fn objects_are_cut_at_a_size_and_the_same_records_give_the_same_objects() {
    let logs = logs(Version::V1_3_0).rows_per_object(1_000);
    let bytes = generate::blob(3, 6_000);
    let name = generate::name();
    let (made, counts) = convert(&logs, Cutter::blob(), &name, &[&bytes], |_| true);
    assert_eq!(counts.tuples, 6_000);
    let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
    assert_eq!(names, ["part", "part-1", "part-2", "part-3", "part-4", "part-5"]);
    let largest = made.iter().flat_map(|made| &made.objects.objects).map(|object| object.rows).max().unwrap();
    assert!(largest <= 1_000, "{largest}");
    let (again, _) = convert(&logs, Cutter::blob(), &name, &bytes.chunks(333).collect::<Vec<_>>(), |_| true);
    let objects = |made: &[tributary_azure_flowlogs::Made]| -> Vec<_> {
        made.iter().flat_map(|made| made.objects.objects.clone()).collect()
    };
    assert_eq!(objects(&again), objects(&made));

    // A record with more tuples than an object takes is several objects.
    let tuples: Vec<String> = (0..2_500).map(|at| tuple(MIDNIGHT + at % 700)).collect();
    let one = format!("[{}]", record(ONE, "2026-03-02T00:00:30Z", &tuples));
    let (made, counts) = convert(&logs, Cutter::blob(), &name, &[one.as_bytes()], |_| true);
    assert_eq!((counts.tuples, counts.objects), (2_500, 3));
    let times: Vec<i64> = rows::all(&made).iter().map(|row| row["time"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
}

/// What another version takes or refuses must not move rows from one object of a plan to another.
#[test]
fn a_planned_part_is_one_object_whatever_is_in_it() {
    let logs = logs(Version::V1_3_0).rows_per_object(1_000);
    let part = |records: &[String], rows: u32| {
        let mut part =
            logs.planned(BatchId::parse("plan").unwrap(), Source { name: "PT1H.json", received: NOON }, rows);
        for (at, record) in records.iter().enumerate() {
            let key = RecordKey { time: 1, mac: "", ordinal: u32::try_from(at).unwrap() };
            part.record(key, record.as_bytes()).unwrap();
        }
        let mut made = part.ready();
        let (rest, counts) = part.finish().unwrap();
        made.extend(rest);
        (made, counts)
    };
    // 8 MiB of each: tuples, faults, texts that are in no dictionary of a page, and words.
    let tuples: Vec<String> =
        (0..60).map(|_| record(ONE, "2026-03-02T00:00:30Z", &vec![tuple(MIDNIGHT); 2_500])).collect();
    let faults: Vec<String> = (0..60)
        .map(|_| record(ONE, "2026-03-02T00:00:30Z", &vec!["1772409600000,10.0.0.4,192.0.2.1,x".to_owned(); 3_000]))
        .collect();
    let texts: Vec<String> = (0..400)
        .map(|at| {
            let extras: serde_json::Map<String, serde_json::Value> =
                (0..10).map(|extra| (format!("k{at}_{extra}"), format!("{at}{}", "v".repeat(2_000)).into())).collect();
            let mut record: serde_json::Value =
                serde_json::from_str(&record(ONE, "2026-03-02T00:00:30Z", &[tuple(MIDNIGHT)])).unwrap();
            record.as_object_mut().unwrap().extend(extras);
            record["targetResourceID"] = format!("/subscriptions/{ONE}/{at}{}", "t".repeat(1_900)).into();
            record["flowLogResourceID"] = format!("/{at}{}", "f".repeat(1_900)).into();
            record.to_string()
        })
        .collect();
    let words: Vec<String> = (0..400)
        .map(|at| record(ONE, "2026-03-02T00:00:30Z", &[tuple(MIDNIGHT).replace(",E,", &format!(",S{at},"))]))
        .collect();
    let expected = [(150_000, 0), (0, 180_000), (400, 0), (193, 207)];
    for (records, (rows, refused)) in [tuples, faults, texts, words].iter().zip(expected) {
        let (made, counts) = part(records, PLANNED_ROWS);
        let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, ["plan"]);
        assert_eq!((counts.tuples, counts.quarantined.values().sum::<u64>()), (rows, refused));
        if rows < 1_000 {
            assert_eq!(rows::all(&made).len() as u64, rows, "a reader finds them");
        }
    }
    // The plan's own bound counts, not the program's.
    let records: Vec<String> =
        (0..4).map(|_| record(ONE, "2026-03-02T00:00:30Z", &vec![tuple(MIDNIGHT); 3_000])).collect();
    assert_eq!(part(&records, 6_000).0.len(), 2);
    assert_eq!(part(&records, 12_000).0.len(), 1);
}

#[test]
fn a_record_that_is_longer_than_records_are_read_is_in_quarantine() {
    let logs = logs(Version::V1_3_0);
    let mut part = logs.part(BatchId::parse("part").unwrap(), Source { name: "PT1H.json", received: NOON });
    let beginning = format!("{{\"time\":\"2026-03-02T00:00:30Z\",\"x\":\"{}", "\"".repeat(20 << 20));
    part.cut_off(RecordKey { time: 0, mac: "", ordinal: 3 }, beginning.as_bytes()).unwrap();
    let (made, counts) = part.finish().unwrap();
    assert_eq!(counts.quarantined.get("too-large"), Some(&1));
    let found = quarantine(&made);
    assert_eq!(found[0]["position"]["record"]["ordinal"], 3);
    let raw = found[0]["raw"].as_str().unwrap();
    assert!(beginning.starts_with(raw) && raw.len() == 8 << 20);
}
