//! Queue messages: a batch that is read can be written and read again; anything else is foreign input or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_batch::envelope::{Decoded, Encoded, decode, encode};
use tributary_fuzz::text;

fuzz_target!(|data: &[u8]| {
    let message = text(data);
    match decode(&message, "00000000-0000-4000-8000-000000000000") {
        Ok(Decoded::Batch(batch)) => {
            assert!(!batch.events.is_empty());
            match encode(&batch).expect("a batch that was read can be written") {
                Encoded::Inline(message) => {
                    let again = decode(&message, "other").expect("what was written can be read");
                    assert_eq!(again, Decoded::Batch(batch));
                }
                Encoded::Claim { .. } => {}
            }
        }
        Ok(Decoded::Claim(claim)) => drop(claim.open(data)),
        Ok(Decoded::Foreign(foreign)) => assert!(foreign.event.body.len() <= 6 * message.len() + 64),
        Err(error) => assert!(error.to_string().len() < 1_000),
    }
});
