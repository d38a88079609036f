//! Staged outcomes: one that passes its own check comes back the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tributary_batch::BatchId;
use tributary_lake::Outcome;

fuzz_target!(|data: &[u8]| {
    let batch = BatchId::parse("0123456789ab-p0000-00000000000000000001-00000000000000000002").unwrap();
    if let Ok(outcome) = Outcome::decode(&batch, &Bytes::copy_from_slice(data)) {
        let staged: Bytes = outcome.encode().into();
        let again = Outcome::decode(&batch, &staged).expect("what was written can be read");
        assert_eq!(again.manifest(), outcome.manifest());
        for group in outcome.manifest().groups.iter() {
            assert_eq!(again.group_bytes(group), outcome.group_bytes(group));
        }
    }
});
