//! Mapping files: any text compiles or is refused with places, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_fuzz::text;
use tributary_mapping::{MappingSet, Sources};
use tributary_ocsf::Version;

fuzz_target!(|data: &[u8]| {
    let sources = Sources::from([("a.yaml".to_owned(), text(data).into_owned())]);
    if let Err(faults) = MappingSet::compile(&sources, tributary_azure_mappings::functions(), Version::V1_3_0) {
        assert!(!faults.is_empty());
        for fault in faults {
            assert!(!fault.to_string().is_empty());
        }
    }
});
