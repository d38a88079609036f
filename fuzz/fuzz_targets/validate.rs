//! Judging ends, whatever is judged: the value itself, and every element of the lists in it.
#![no_main]

use std::sync::LazyLock;

use bumpalo::Bump;
use libfuzzer_sys::fuzz_target;
use tributary_json::{Doc, Limits, Value};
use tributary_ocsf::validate::{Level, Rules, Validator, stated_version};
use tributary_ocsf::{Schema, Version};

/// Rules with and without nulls, for each version.
static VALIDATORS: LazyLock<Vec<Validator<'static>>> = LazyLock::new(|| {
    let rules = |drop_nulls| Rules { security_lake: true, drop_nulls, ..Rules::default() };
    let both = |version| [false, true].map(|drop_nulls| Validator::new(Schema::get(version), rules(drop_nulls)));
    Version::ALL.into_iter().flat_map(both).collect()
});

fn judge(event: Value<'_, '_>) {
    let version = stated_version(event).unwrap_or(Version::V1_3_0);
    for validator in VALIDATORS.iter().filter(|validator| validator.version() == version) {
        let report = validator.check(event);
        let count = |level| report.findings.iter().filter(|finding| finding.level == level).count() as u64;
        assert!(report.findings.len() <= Rules::default().max_findings);
        assert!(count(Level::Error) <= report.errors && count(Level::Strict) <= report.strict);
        assert_eq!(report.valid, report.errors + report.strict == 0);
        for finding in &report.findings {
            assert!(finding.message.len() < 2_000 && finding.path.len() < 20_000, "{finding:?}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let arena = Bump::new();
    let mut doc = Doc::new();
    let Ok(root) = doc.parse(text, &arena, Limits { depth: 160, ..Limits::default() }) else { return };
    let root = doc.value(root);
    judge(root);
    root.members().flat_map(|(_, list)| list.elements()).for_each(judge);
});
