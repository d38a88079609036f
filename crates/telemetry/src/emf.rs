//! CloudWatch's embedded metric format: metrics in log lines.
//!
//! Source: the Embedded Metric Format specification of Amazon CloudWatch Logs. A line holds at most 100 metrics; one line
//! a set of dimensions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalogue::{MODULE_DIMENSION, NAMESPACE};
use crate::{Sample, Snapshot};

impl Snapshot {
    /// One line for the values without label, one for each label. `timestamp` in milliseconds; `module` is the integration's
    /// instance id.
    pub fn emf(&self, module: &str, timestamp: i64) -> Vec<String> {
        let mut lines: BTreeMap<(&'static str, &str), Vec<&Sample>> = BTreeMap::new();
        for sample in &self.samples {
            let label = sample.metric.label().unwrap_or("");
            lines.entry((label, sample.label.as_str())).or_default().push(sample);
        }
        lines.into_iter().map(|((name, label), samples)| line(module, timestamp, name, label, &samples)).collect()
    }
}

fn line(module: &str, timestamp: i64, name: &str, label: &str, samples: &[&Sample]) -> String {
    // A labelled value counts for the module as a whole too: an alarm names no partition.
    let mut dimensions = vec![vec![MODULE_DIMENSION]];
    let mut members = Map::new();
    members.insert(MODULE_DIMENSION.to_owned(), Value::from(module));
    if !name.is_empty() {
        dimensions.push(vec![MODULE_DIMENSION, name]);
        members.insert(name.to_owned(), Value::from(label));
    }
    let mut metrics = Vec::new();
    for sample in samples {
        metrics.push(json!({"Name": sample.metric.name(), "Unit": sample.metric.unit().as_str()}));
        members.insert(sample.metric.name().to_owned(), Value::from(sample.value));
    }
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics});
    members.insert("_aws".to_owned(), json!({"Timestamp": timestamp, "CloudWatchMetrics": [directive]}));
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, Metrics};

    #[test]
    fn a_line_names_what_it_holds() {
        let metrics = Metrics::new();
        metrics.count(Metric::EventsReceived, 3);
        metrics.count(Metric::BytesWritten, 9);
        metrics.record(Metric::RecordsMapped, "alert", 2);
        let lines = metrics.snapshot().emf("example", 1_767_225_600_000);
        assert_eq!(lines.len(), 2);
        for line in &lines {
            let value: Value = serde_json::from_str(line).unwrap();
            let directive = &value["_aws"]["CloudWatchMetrics"][0];
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(value[metric["Name"].as_str().unwrap()].is_u64(), "{line}");
            }
            let sets = directive["Dimensions"].as_array().unwrap();
            for dimension in sets.iter().flat_map(|set| set.as_array().unwrap()) {
                assert!(value[dimension.as_str().unwrap()].is_string(), "{line}");
            }
        }
        assert!(lines.iter().any(|line| line.contains("\"Kind\":\"alert\"") && line.contains("\"RecordsMapped\":2")));
    }
}
