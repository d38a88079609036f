//! Every sample's expectation against the shipped maps, record by record.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bumpalo::Bump;
use tributary_mapping::{Mapper, MappingSet, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use super::*;

const HOUR: i64 = 3_600_000;

/// What one event became.
struct Fate {
    mapped: Vec<(usize, String, i64, serde_json::Value)>,
    refused: Vec<(usize, Reason, String, String)>,
}

fn fate(mapper: &Mapper<'_>, sample: &Sample, uid: &str) -> Fate {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let body = String::from_utf8_lossy(&sample.body);
    let origin = Origin { uid, enqueued_time: Some(DEFAULT_BASE + HOUR) };
    mapper.map_body(&body, origin, &arena, &mut scratch, &mut outcomes);
    let mut fate = Fate { mapped: Vec::new(), refused: Vec::new() };
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Mapped(mapped) => {
                let mut text = String::new();
                write_object(mapper.set().schema(), &mapped.event, &mut text);
                let event = serde_json::from_str(&text).unwrap();
                fate.mapped.push((index, mapped.kind.to_owned(), mapped.time, event));
            }
            Outcome::Routed(_) | Outcome::Skipped(_) => panic!("no sample is for a rule: {outcome:?}"),
            Outcome::Refused(refused) => {
                fate.refused.push((index, refused.reason, refused.detail, refused.raw.to_owned()));
            }
        }
    }
    fate
}

fn sets() -> Vec<MappingSet> {
    let shipped = |version| tributary_azure_mappings::shipped(version).unwrap();
    Version::ALL.into_iter().map(shipped).collect()
}

/// Where the crate's documentation says that the marker stands.
fn carries(event: &serde_json::Value, marker: &str) -> bool {
    match event["class_uid"].as_i64().unwrap() {
        2000..3000 => event["finding_info"]["uid"].as_str().is_some_and(|uid| uid.contains(marker)),
        _ => event["metadata"]["correlation_uid"] == marker,
    }
}

#[test]
fn every_record_becomes_what_it_says() {
    let mut reasons = BTreeSet::new();
    let mut classes = BTreeSet::new();
    for set in sets() {
        let mapper = Mapper::new(&set, Options::default());
        for (seed, count) in [(1, 2_000), (2, 800), (0xdead_beef_cafe, 800)] {
            // Enough malformed events to see each of their forms.
            for (index, sample) in Samples::new(seed).malformed_per_mille(250).events(count).enumerate() {
                let place = || format!("{} seed {seed} event {index}: {}", set.schema().version, show(&sample));
                let mut fate = fate(&mapper, &sample, "x");
                assert_eq!(fate.mapped.len() + fate.refused.len(), sample.records.len(), "{}", place());
                for (at, expected) in sample.records.iter().enumerate() {
                    match expected {
                        Expected::Mapped { kind, marker } => {
                            let found = fate.mapped.iter().position(|(index, ..)| *index == at);
                            let found = found.unwrap_or_else(|| panic!("{expected:?} {:?} {}", fate.refused, place()));
                            let (_, name, time, event) = fate.mapped.swap_remove(found);
                            assert_eq!(name, kind.as_str(), "{}", place());
                            assert!(carries(&event, marker), "{marker} {event} {}", place());
                            let span = DEFAULT_BASE - scene::SPAN - 2 * HOUR..=DEFAULT_BASE + HOUR;
                            assert!(span.contains(&time), "{time} {}", place());
                            classes.insert(event["class_uid"].as_i64().unwrap());
                        }
                        Expected::Quarantined { reason, marker } => {
                            let found = fate.refused.iter().position(|(index, ..)| *index == at);
                            let found = found.unwrap_or_else(|| panic!("{expected:?} mapped: {}", place()));
                            let (_, actual, detail, raw) = fate.refused.swap_remove(found);
                            assert_eq!(actual, *reason, "{detail} {}", place());
                            assert!(raw.contains(marker), "{raw} lost {marker} {}", place());
                            reasons.insert(reason.as_str());
                        }
                    }
                }
            }
        }
    }
    // `invalid` is for rules that the static check of the maps proves to hold.
    let all: BTreeSet<&str> =
        Reason::ALL.into_iter().filter(|reason| *reason != Reason::Invalid).map(Reason::as_str).collect();
    assert_eq!(reasons, all);
    assert_eq!(classes, BTreeSet::from([2002, 2003, 2004, 3001, 3002, 3004, 3005, 3006, 6003]));
}

fn show(sample: &Sample) -> String {
    String::from_utf8_lossy(&sample.body).chars().take(6_000).collect()
}

#[test]
fn a_seed_gives_the_same_bytes() {
    let samples = Samples::new(11);
    let first: Vec<Sample> = samples.events(500).collect();
    assert_eq!(first, samples.events(500).collect::<Vec<_>>());
    assert_eq!(first.get(400), Some(&samples.event(400)));
    let other = Samples::new(12).event(400);
    assert_ne!(first.get(400), Some(&other));
}

#[test]
fn markers_are_unique_and_look_like_markers() {
    let mut seen = HashSet::new();
    for seed in [0, 1, 0x1_0000_0001] {
        for sample in Samples::new(seed).events(2_000) {
            for record in sample.records {
                assert!(is_marker(record.marker()), "{record:?}");
                assert!(seen.insert(record.marker().to_owned()), "{record:?} twice");
            }
        }
    }
    for text in ["", "0a1b2c3d-0000-4000-8000-0000000000f1", "é", "0a1b2c3d-5eed-4000-8000-0000000000F1"] {
        assert!(!is_marker(text));
    }
}

#[test]
fn the_mix_is_what_a_tenant_sends() {
    for seed in 0..4 {
        let (mut kinds, mut bad, mut alerts) = (BTreeMap::<Kind, usize>::new(), 0, Vec::new());
        let (mut keys, mut properties) = (0, 0);
        for sample in Samples::new(seed).events(2_000) {
            for record in &sample.records {
                match record {
                    Expected::Mapped { kind, .. } => *kinds.entry(*kind).or_default() += 1,
                    Expected::Quarantined { .. } => bad += 1,
                }
            }
            if matches!(&*sample.records, [Expected::Mapped { kind: Kind::DefenderAlert, .. }]) {
                alerts.push(sample.body.len());
            }
            keys += usize::from(sample.partition_key.is_some());
            properties += usize::from(!sample.properties.is_empty());
        }
        assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}: {kinds:?}");
        assert!((15..=70).contains(&bad), "seed {seed}: {bad} bad records");
        let mean = alerts.iter().sum::<usize>() / alerts.len();
        assert!((3_400..=3_800).contains(&mean), "seed {seed}: alerts of {mean} bytes");
        assert!(keys > 0 && properties > 0);
    }
}

#[test]
fn kinds_and_malformed_share_can_be_chosen() {
    let clean = Samples::new(5).malformed_per_mille(0).only(&[Kind::EntraAudit]);
    for sample in clean.events(300) {
        assert!(sample.records.iter().all(|r| matches!(r, Expected::Mapped { kind: Kind::EntraAudit, .. })));
    }
    assert!(Samples::new(5).malformed_per_mille(1_000).events(300).any(|sample| !sample.is_text()));
}

/// With TRIBUTARY_JUDGE: an independent, strict judge accepts everything that the samples become.
#[test]
fn the_independent_judge_accepts_every_event() {
    let Ok(judge) = std::env::var("TRIBUTARY_JUDGE") else {
        return eprintln!("SKIPPED: TRIBUTARY_JUDGE names no folder");
    };
    for set in sets() {
        let version = set.schema().version;
        let mapper = Mapper::new(&set, Options::default());
        let mut events = String::new();
        for (index, sample) in Samples::new(21).malformed_per_mille(120).events(1_500).enumerate() {
            for (.., event) in fate(&mapper, &sample, &format!("judge-{index}")).mapped {
                events += &format!("{event}\n");
            }
        }
        let file = std::env::temp_dir().join(format!("tributary-samples-{}-{version}.ndjson", std::process::id()));
        std::fs::write(&file, events).unwrap();
        let output = std::process::Command::new("python3")
            .arg(format!("{judge}/ocsf_check.py"))
            .arg("--schema")
            .arg(format!("{judge}/ocsf-compiled/{version}.json"))
            .args(["--version", version.as_str(), "--security-lake", "--strict-warnings"])
            .arg(&file)
            .output()
            .unwrap();
        let _ = std::fs::remove_file(&file);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", said.chars().take(8_000).collect::<String>());
    }
}
