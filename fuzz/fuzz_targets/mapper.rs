//! Bodies to events, with the shipped sets: every event is valid OCSF, in both versions.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary_fuzz::{check_body, text, validator};
use tributary_mapping::{MappingSet, Options};
use tributary_ocsf::Version;
use tributary_ocsf::validate::Validator;

static SETS: LazyLock<Vec<(MappingSet, Validator<'static>)>> = LazyLock::new(|| {
    let set = |version| {
        let set = tributary_azure_mappings::shipped(version).unwrap();
        let validator = validator(&set);
        (set, validator)
    };
    Version::ALL.into_iter().map(set).collect()
});

fuzz_target!(|data: &[u8]| {
    let body = text(data);
    for (index, (set, validator)) in SETS.iter().enumerate() {
        check_body(set, validator, &body, Options { raw_data: index == 1 });
    }
});
