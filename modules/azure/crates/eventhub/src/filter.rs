//! Start positions as the selector that a receiver asks for.

use fe2o3_amqp_types::messaging::FilterSet;
use fe2o3_amqp_types::primitives::{Symbol, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use tributary_pipeline::StartPosition;

use crate::failure::Failure;

const SELECTOR: &str = "apache.org:selector-filter:string";
const SELECTOR_CODE: u64 = 0x0000_468C_0000_0004;

/// The selector's text.
pub(crate) fn expression(start: &StartPosition) -> Result<String, Failure> {
    let operator = |inclusive: bool| if inclusive { ">=" } else { ">" };
    Ok(match start {
        StartPosition::Earliest => "amqp.annotation.x-opt-offset > '-1'".into(),
        StartPosition::Latest => "amqp.annotation.x-opt-offset > '@latest'".into(),
        StartPosition::Sequence { number, inclusive } => {
            format!("amqp.annotation.x-opt-sequence-number {} '{number}'", operator(*inclusive))
        }
        StartPosition::Offset { offset, inclusive } => {
            // The offset stands in a quoted text: a quote in it would end the text.
            if offset.is_empty() || offset.contains(['\'', '\\']) || offset.chars().any(char::is_control) {
                return Err(Failure::fatal("the stored offset is no offset: set the position by sequence number"));
            }
            format!("amqp.annotation.x-opt-offset {} '{offset}'", operator(*inclusive))
        }
        StartPosition::EnqueuedTime(time) => format!("amqp.annotation.x-opt-enqueued-time > '{time}'"),
    })
}

/// The filter map of a receiver's source.
pub(crate) fn filter(start: &StartPosition) -> Result<FilterSet, Failure> {
    let described = Described { descriptor: Descriptor::Code(SELECTOR_CODE), value: Value::String(expression(start)?) };
    let mut filter = FilterSet::new();
    filter.insert(Symbol::from(SELECTOR), Value::Described(Box::new(described)));
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_position_has_its_selector() {
        for (start, want) in [
            (StartPosition::Earliest, "amqp.annotation.x-opt-offset > '-1'"),
            (StartPosition::Latest, "amqp.annotation.x-opt-offset > '@latest'"),
            (StartPosition::Sequence { number: 7, inclusive: false }, "amqp.annotation.x-opt-sequence-number > '7'"),
            (StartPosition::Sequence { number: -1, inclusive: true }, "amqp.annotation.x-opt-sequence-number >= '-1'"),
            (
                StartPosition::Offset { offset: "4611686018427387904".into(), inclusive: false },
                "amqp.annotation.x-opt-offset > '4611686018427387904'",
            ),
            (
                StartPosition::Offset { offset: "0:12:34".into(), inclusive: true },
                "amqp.annotation.x-opt-offset >= '0:12:34'",
            ),
            (StartPosition::EnqueuedTime(1_767_225_600_000), "amqp.annotation.x-opt-enqueued-time > '1767225600000'"),
        ] {
            assert_eq!(expression(&start).unwrap(), want);
            assert_eq!(filter(&start).unwrap().len(), 1);
        }
    }

    #[test]
    fn an_offset_cannot_end_the_selectors_text() {
        for offset in ["", "1' OR '1'='1", "a\\", "a\nb"] {
            let start = StartPosition::Offset { offset: offset.into(), inclusive: false };
            assert!(expression(&start).is_err(), "{offset:?}");
        }
    }
}
