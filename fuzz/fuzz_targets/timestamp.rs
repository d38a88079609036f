//! Times in any form: what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_fuzz::text;
use tributary_mapping::parse_timestamp;
use tributary_ocsf::write_rfc3339;

fuzz_target!(|data: &[u8]| {
    if let Some(ms) = parse_timestamp(&text(data)) {
        let mut written = String::new();
        write_rfc3339(ms, &mut written);
        assert_eq!(written.len(), "2026-01-01T00:00:00.000Z".len());
        assert_eq!(parse_timestamp(&written), Some(ms), "{written}");
    }
});
