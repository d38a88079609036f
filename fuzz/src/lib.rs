//! What must hold for every body, whatever it holds.

use bumpalo::Bump;
use tributary_json::{Doc, Limits};
use tributary_mapping::{Destination, Mapper, MappingSet, Options, Origin, Outcome, Reason, Scratch, asff, cloudtrail};
use tributary_ocsf::validate::{Rules, Validator};
use tributary_ocsf::{Value, write_object};

/// A text out of a fuzzer's bytes.
pub fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Maps a body and checks each outcome: indices without a gap, bounded number and size, valid JSON, and no event that the
/// validator calls wrong.
pub fn check_body(set: &MappingSet, validator: &Validator<'_>, body: &str, options: Options) {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(set, options).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    assert!(!outcomes.is_empty(), "every body becomes something");
    assert!(outcomes.len() <= 1_000.max(body.len() / 32), "{} outcomes of {} bytes", outcomes.len(), body.len());
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Refused(refused) => {
                assert_eq!(refused.index, index);
                assert!(refused.detail.len() < 1_000);
                assert!(refused.raw.len() <= 6 * body.len() + 64, "the raw record outgrows its body");
                let json = serde_json::from_str::<serde::de::IgnoredAny>(refused.raw).is_ok();
                let whole = matches!(refused.reason, Reason::NotJson | Reason::Fragment | Reason::TooDeep | Reason::TooLarge);
                assert!(json || whole, "{:?}: {}", refused.reason, refused.raw);
            }
            Outcome::Routed(routed) => {
                assert_eq!(routed.index, index);
                assert!(serde_json::from_str::<serde::de::IgnoredAny>(routed.message).is_ok());
            }
            Outcome::Skipped(skipped) => assert_eq!(skipped.index, index),
            Outcome::Mapped(mapped) => {
                let mut event = String::new();
                write_object(set.schema(), &mapped.event, &mut event);
                assert!(event.len() <= 64 * body.len() + 65_536, "{} bytes of {}", event.len(), body.len());
                let Some(Value::Object(metadata)) = mapped.event.get_named(set.schema(), "metadata") else {
                    panic!("no metadata: {event}");
                };
                let uid = metadata.get_named(set.schema(), "uid");
                assert_eq!(uid, Some(&Value::Str(&format!("{}-{index}", origin.uid))));
                let mut doc = Doc::new();
                let root = doc.parse(&event, &arena, Limits::default()).unwrap_or_else(|error| panic!("{error}: {event}"));
                let report = validator.check(doc.value(root));
                assert!(report.valid, "{:?}\n{event}", report.findings);
            }
        }
    }
}

/// Maps a body and checks the other forms of its events: valid JSON of bounded size, none that an identifier could break.
pub fn check_forms(set: &MappingSet, body: &str, destination: &Destination) {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(set, Options { raw_data: true }).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    for outcome in &outcomes {
        let Outcome::Mapped(mapped) = outcome else { continue };
        if let Some(finding) = asff::finding(set.schema(), &mapped.event, destination) {
            assert!(finding.json().len() <= 240_000 && finding.id().encode_utf16().count() <= 512);
            let value: serde_json::Value = serde_json::from_str(finding.json()).unwrap();
            assert_eq!(value["Id"], finding.id());
            assert!((1..=32).contains(&value["Resources"].as_array().unwrap().len()));
            assert_eq!(asff::finding(set.schema(), &mapped.event, destination).as_ref(), Some(&finding));
        }
        let event = cloudtrail::audit_event(set.schema(), &mapped.event, destination);
        assert!(event.event_data().len() <= 256_000);
        let value: serde_json::Value = serde_json::from_str(event.event_data()).unwrap();
        assert_eq!(value["UID"], event.id());
        assert!(value["additionalEventData"].to_string().len() <= 28_000);
    }
}

/// The validator that judges a set's events.
pub fn validator(set: &MappingSet) -> Validator<'static> {
    Validator::new(set.schema(), Rules { security_lake: true, ..Rules::default() })
}
