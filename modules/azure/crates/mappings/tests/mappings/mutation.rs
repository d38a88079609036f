//! Broken cases: whatever bytes of a real body are changed, what comes out is valid or refused. A quick, everyday version of
//! the fuzz target `mapper` (`make fuzz`).

use std::sync::LazyLock;

use bumpalo::Bump;
use proptest::prelude::*;
use proptest::sample::Index;
use tributary_azure_mappings::{shipped, sources};
use tributary_json::{Doc, Limits};
use tributary_mapping::{Case, Mapper, MappingSet, Options, Origin, Outcome, Scratch};
use tributary_ocsf::validate::{Rules, Validator};
use tributary_ocsf::{Version, write_object};

static SET: LazyLock<MappingSet> = LazyLock::new(|| shipped(Version::V1_3_0).unwrap());
static VALIDATOR: LazyLock<Validator<'static>> =
    LazyLock::new(|| Validator::new(SET.schema(), Rules { security_lake: true, ..Rules::default() }));
static BODIES: LazyLock<Vec<String>> =
    LazyLock::new(|| Case::all(&sources()).into_iter().map(|case| case.body).collect());

/// Pieces that change the meaning of JSON, and values that types do not expect.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e999",
    "\"\"",
    "{}",
    "[]",
    "\n",
    "\u{0}",
    "\\u0000",
    "é",
    "\"records\":[",
    "0001-01-01T00:00:00Z",
    "../",
    "99999999999999999999",
    " ",
];

/// What happens to a body, in this order: a piece replaces a range of at most so many bytes.
#[derive(Debug, Clone)]
struct Change {
    at: Index,
    length: usize,
    piece: Index,
}

fn change() -> impl Strategy<Value = Change> {
    (any::<Index>(), 0..40_usize, any::<Index>()).prop_map(|(at, length, piece)| Change { at, length, piece })
}

fn changed(body: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = body.chars().collect();
    for change in changes {
        let from = change.at.index(text.len() + 1);
        let to = (from + change.length).min(text.len());
        text.splice(from..to, change.piece.get(PIECES).chars());
    }
    text.into_iter().collect()
}

fn check(body: &str) -> Result<(), TestCaseError> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(&SET, Options { raw_data: true }).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    prop_assert!(!outcomes.is_empty());
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Refused(refused) => prop_assert_eq!(refused.index, index),
            Outcome::Routed(routed) => prop_assert_eq!(routed.index, index),
            Outcome::Skipped(skipped) => prop_assert_eq!(skipped.index, index),
            Outcome::Mapped(mapped) => {
                let mut event = String::new();
                write_object(SET.schema(), &mapped.event, &mut event);
                let mut doc = Doc::new();
                let root = doc.parse(&event, &arena, Limits::default());
                let root = root.map_err(|error| TestCaseError::fail(format!("{error}: {event}")))?;
                let report = VALIDATOR.check(doc.value(root));
                prop_assert!(report.valid, "{:?}\n{event}", report.findings);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn broken_bodies_become_valid_events_or_refusals(
        body in any::<Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        check(&changed(body.get::<String>(&BODIES), &changes))?;
    }
}
