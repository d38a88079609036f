//! Order of events within one object.

use tributary_json::Value;

use crate::validate::path;
use crate::validate::report::{Finding, Level};

/// Watches that the events of one file come in order of `time`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeOrder {
    last: Option<i64>,
}

impl TimeOrder {
    /// A finding when `event` is before the one that was seen last. Events without a time are passed over.
    pub fn check(&mut self, event: Value<'_, '_>) -> Option<Finding> {
        let time = event.get("time")?.as_i64()?;
        let before = self.last.replace(time)?;
        (time < before).then(|| Finding {
            level: Level::Strict,
            code: "not_sorted_by_time",
            path: path::ROOT.name("time").text(),
            message: format!("{time} comes after {before}"),
        })
    }
}
