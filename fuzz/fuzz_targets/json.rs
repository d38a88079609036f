//! The tape reads what serde_json reads, and writes it back with the same meaning.
#![no_main]

use bumpalo::Bump;
use libfuzzer_sys::fuzz_target;
use tributary_json::{Doc, JsonErrorKind, Limits, write_json};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let arena = Bump::new();
    let mut doc = Doc::new();
    match doc.parse(text, &arena, Limits::default()) {
        Ok(root) => {
            let mut written = String::new();
            write_json(doc.value(root), &mut written);
            // serde_json refuses numbers that no f64 holds.
            if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(text) {
                assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), theirs);
            }
        }
        Err(error) => {
            let bounded = matches!(error.kind, JsonErrorKind::TooDeep | JsonErrorKind::TooLarge);
            assert!(bounded || serde_json::from_str::<serde_json::Value>(text).is_err(), "{error}");
            assert!(doc.is_empty());
        }
    }
});
