//! Bodies to the forms for Security Hub and CloudTrail Lake: valid JSON, within the limits, the same each time.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary_fuzz::{check_forms, text};
use tributary_mapping::{Destination, MappingSet};
use tributary_ocsf::Version;

static SETS: LazyLock<(Vec<MappingSet>, Destination)> = LazyLock::new(|| {
    let sets = Version::ALL.into_iter().map(|version| tributary_azure_mappings::shipped(version).unwrap());
    (sets.collect(), Destination::new("111122223333", "eu-west-1").unwrap())
});

fuzz_target!(|data: &[u8]| {
    let (sets, destination) = &*SETS;
    for set in sets {
        check_forms(set, &text(data), destination);
    }
});
