//! Every sample's expectation against the shipped maps, record by record.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bumpalo::Bump;
use tributary_mapping::{Mapper, MappingSet, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use super::*;

const HOUR: i64 = 3_600_000;

/// What a record became.
#[derive(Debug)]
enum Fate {
    Mapped { kind: String, time: i64, general: bool, event: serde_json::Value },
    Refused { reason: Reason, detail: String, raw: String },
    Routed { rule: String, message: serde_json::Value },
    Skipped { rule: String },
}

/// What the records of one event become, in their order.
fn fates(mapper: &Mapper<'_>, sample: &Sample, uid: &str) -> Vec<Fate> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let body = String::from_utf8_lossy(&sample.body);
    let origin = Origin { uid, enqueued_time: Some(DEFAULT_BASE + HOUR) };
    mapper.map_body(&body, origin, &arena, &mut scratch, &mut outcomes);
    let fate = |outcome: Outcome<'_>| match outcome {
        Outcome::Mapped(mapped) => {
            let mut text = String::new();
            write_object(mapper.set().schema(), &mapped.event, &mut text);
            let (kind, general) = (mapped.kind.to_owned(), mapped.general.is_some());
            Fate::Mapped { kind, time: mapped.time, general, event: serde_json::from_str(&text).unwrap() }
        }
        Outcome::Refused(refused) => {
            Fate::Refused { reason: refused.reason, detail: refused.detail, raw: refused.raw.to_owned() }
        }
        Outcome::Routed(routed) => {
            Fate::Routed { rule: routed.rule.to_owned(), message: serde_json::from_str(routed.message).unwrap() }
        }
        Outcome::Skipped(skipped) => Fate::Skipped { rule: skipped.rule.to_owned() },
    };
    outcomes.into_iter().map(fate).collect()
}

fn sets() -> Vec<MappingSet> {
    let shipped = |version| tributary_azure_mappings::shipped(version).unwrap();
    Version::ALL.into_iter().map(shipped).collect()
}

/// The marker of a mapped event.
fn carried(event: &serde_json::Value) -> Option<String> {
    marker_of(|object, name| event[object][name].as_str().map(str::to_owned))
}

#[test]
fn every_mapping_file_has_a_kind() {
    let sources = tributary_azure_mappings::sources();
    let files = sources.keys().filter_map(|name| name.strip_suffix(".yaml"));
    let files: BTreeSet<&str> = files.filter(|name| !name.contains('/') && *name != "module").collect();
    assert_eq!(Kind::ALL.iter().map(|kind| kind.as_str()).collect::<BTreeSet<_>>(), files);
}

#[test]
fn every_record_becomes_what_it_says() {
    let (mut reasons, mut rules) = (BTreeSet::new(), BTreeSet::new());
    let mut classes = BTreeMap::<Kind, BTreeSet<i64>>::new();
    for set in sets() {
        let mapper = Mapper::new(&set, Options::default());
        for (seed, count) in [(1, 2_000), (2, 800), (0xdead_beef_cafe, 800)] {
            // Enough malformed events to see each of their forms.
            for (index, sample) in Samples::new(seed).malformed_per_mille(250).events(count).enumerate() {
                let place = || format!("{} seed {seed} event {index}: {}", set.schema().version, show(&sample));
                let fates = fates(&mapper, &sample, "x");
                assert_eq!(fates.len(), sample.records.len(), "{fates:?} {}", place());
                for (expected, fate) in sample.records.iter().zip(fates) {
                    match (expected, fate) {
                        (Expected::Mapped { kind, marker }, Fate::Mapped { kind: name, time, general, event }) => {
                            assert_eq!(name, kind.as_str(), "{}", place());
                            assert_eq!(general, *kind == Kind::AzureGeneral, "{}", place());
                            assert_eq!(carried(&event).as_ref(), Some(marker), "{event} {}", place());
                            let span = DEFAULT_BASE - scene::SPAN - 2 * HOUR..=DEFAULT_BASE + HOUR;
                            assert!(span.contains(&time), "{time} {}", place());
                            classes.entry(*kind).or_default().insert(event["class_uid"].as_i64().unwrap());
                        }
                        (Expected::Quarantined { reason, marker }, Fate::Refused { reason: actual, detail, raw }) => {
                            assert_eq!(actual, *reason, "{detail} {}", place());
                            assert!(raw.contains(marker), "{raw} lost {marker} {}", place());
                            reasons.insert(reason.as_str());
                        }
                        (Expected::Routed { marker }, Fate::Routed { rule, message }) => {
                            assert_eq!(message["id"], *marker, "{}", place());
                            rules.insert(rule);
                        }
                        (Expected::Skipped { .. }, Fate::Skipped { rule }) => {
                            rules.insert(rule);
                        }
                        (expected, fate) => panic!("{expected:?} became {fate:?} {}", place()),
                    }
                }
            }
        }
    }
    // `invalid` is for rules that the static check of the maps proves to hold.
    let all: BTreeSet<&str> =
        Reason::ALL.into_iter().filter(|reason| *reason != Reason::Invalid).map(Reason::as_str).collect();
    assert_eq!(reasons, all);
    assert_eq!(rules, BTreeSet::from(["event_grid_subscription_validation".to_owned(), "flow_logs".to_owned()]));
    // The samples reach every class of every kind.
    for set in sets() {
        for kind in Kind::ALL {
            let file = set.kinds().iter().find(|file| file.name == kind.as_str()).unwrap();
            let declared: BTreeSet<&str> = file.variants.iter().map(|variant| &*variant.class).collect();
            let name = |uid: &i64| set.schema().class_by_uid(i32::try_from(*uid).unwrap()).unwrap().1.name;
            let reached: BTreeSet<&str> = classes[kind].iter().map(name).collect();
            assert_eq!(reached, declared, "{kind:?}");
        }
    }
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
    let marker = "0a1b2c3d-5eed-4000-8000-0000000000f1";
    for text in [marker.to_owned(), format!("-5eed-4é{marker}"), format!("1-5eed-4 a{marker}b")] {
        assert_eq!(marker_in(&text), Some(marker), "{text}");
    }
    assert_eq!(marker_in("0a1b2c3d-5eed-4000-8000-0000000000"), None);
}

#[test]
fn the_mix_is_what_a_tenant_sends() {
    for seed in 0..4 {
        let (mut kinds, mut fates, mut alerts) = (BTreeMap::<Kind, usize>::new(), Fates::default(), Vec::new());
        let (mut keys, mut properties) = (0, 0);
        for sample in Samples::new(seed).events(2_000) {
            fates.add(&sample.records);
            for record in &sample.records {
                if let Expected::Mapped { kind, .. } = record {
                    *kinds.entry(*kind).or_default() += 1;
                }
            }
            if matches!(&*sample.records, [Expected::Mapped { kind: Kind::DefenderAlert, .. }]) {
                alerts.push(sample.body.len());
            }
            keys += usize::from(sample.partition_key.is_some());
            properties += usize::from(!sample.properties.is_empty());
        }
        assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}: {kinds:?}");
        assert!((15..=70).contains(&fates.quarantined), "seed {seed}: {fates:?}");
        assert!(fates.routed > 30 && fates.skipped > 5, "seed {seed}: {fates:?}");
        assert_eq!(fates.mapped, kinds.values().sum::<usize>() as u64);
        assert!(fates.total() > 3_500, "seed {seed}: {fates:?}");
        // What a tenant has most of.
        let mut common: Vec<Kind> = kinds.keys().copied().collect();
        common.sort_by_key(|kind| std::cmp::Reverse(kinds[kind]));
        for kind in [Kind::DefenderAlert, Kind::ActivityAdministrative, Kind::EntraSignin] {
            assert!(common[..4].contains(&kind), "seed {seed}: {kinds:?}");
        }
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
        for (index, sample) in Samples::new(21).malformed_per_mille(120).events(2_500).enumerate() {
            for fate in fates(&mapper, &sample, &format!("judge-{index}")) {
                if let Fate::Mapped { event, .. } = fate {
                    events += &format!("{event}\n");
                }
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
