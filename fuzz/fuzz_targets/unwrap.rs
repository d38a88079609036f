//! Bodies to records, with a set that claims none: every record comes back as it was.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary_fuzz::{check_body, text, validator};
use tributary_mapping::{MappingSet, Options, Sources};
use tributary_ocsf::Version;
use tributary_ocsf::validate::Validator;

static SET: LazyLock<(MappingSet, Validator<'static>)> = LazyLock::new(|| {
    let module = tributary_azure_mappings::sources().remove("module.yaml").unwrap();
    let set = MappingSet::compile(&Sources::from([("module.yaml".to_owned(), module)]), &[], Version::V1_3_0).unwrap();
    let validator = validator(&set);
    (set, validator)
});

fuzz_target!(|data: &[u8]| {
    let (set, validator) = &*SET;
    check_body(set, validator, &text(data), Options::default());
});
