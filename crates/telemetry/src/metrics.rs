//! Counting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Metric;

/// Most labels of one metric: labels come from data, and a hostile source must not make a metric of each record.
const MAX_LABELS: usize = 200;
/// Where labels beyond [`MAX_LABELS`] are counted.
const OTHER: &str = "other";
/// Longest label in bytes.
const MAX_LABEL: usize = 64;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Which metric.
    pub metric: Metric,
    /// Label, empty for none.
    pub label: String,
    /// Sum, or the largest value of a gauge.
    pub value: u64,
}

/// Counts of a run. Clones count into the same numbers.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    values: Arc<Mutex<BTreeMap<Metric, BTreeMap<String, u64>>>>,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to a metric without label.
    pub fn count(&self, metric: Metric, value: u64) {
        self.record(metric, "", value);
    }

    /// Adds to a metric's label, or raises a gauge to `value`.
    pub fn record(&self, metric: Metric, label: &str, value: u64) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = values.entry(metric).or_default();
        let label = clip(label);
        let label = if labels.len() < MAX_LABELS || labels.contains_key(label) { label } else { OTHER };
        let merge = |stored: u64| if metric.is_gauge() { stored.max(value) } else { stored.saturating_add(value) };
        match labels.get_mut(label) {
            Some(stored) => *stored = merge(*stored),
            None => {
                labels.insert(label.to_owned(), value);
            }
        }
    }

    /// What was counted, by metric and label.
    pub fn snapshot(&self) -> Snapshot {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = values.iter().flat_map(|(metric, labels)| {
            labels.iter().map(|(label, value)| Sample { metric: *metric, label: label.clone(), value: *value })
        });
        Snapshot { samples: samples.collect() }
    }
}

/// The longest start of `label` within the limit that ends between characters.
fn clip(label: &str) -> &str {
    let mut end = label.len().min(MAX_LABEL);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    label.get(..end).unwrap_or_default()
}

/// Values at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The values, by metric and label.
    pub samples: Vec<Sample>,
}

impl Snapshot {
    /// The sum over a metric's labels (the largest for a gauge).
    pub fn total(&self, metric: Metric) -> u64 {
        let values = self.of(metric).map(|sample| sample.value);
        if metric.is_gauge() { values.max().unwrap_or(0) } else { values.fold(0, u64::saturating_add) }
    }

    /// The values of a metric.
    pub fn of(&self, metric: Metric) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.metric == metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_gauges() {
        let metrics = Metrics::new();
        let other = metrics.clone();
        metrics.count(Metric::EventsReceived, 2);
        other.count(Metric::EventsReceived, 3);
        metrics.record(Metric::PartitionLag, "0", 7);
        metrics.record(Metric::PartitionLag, "0", 4);
        metrics.record(Metric::PartitionLag, "1", 5);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot.total(Metric::EventsReceived), 5);
        assert_eq!(snapshot.total(Metric::PartitionLag), 7);
        assert_eq!(snapshot.of(Metric::PartitionLag).count(), 2);
    }

    #[test]
    fn hostile_labels_are_bounded() {
        let metrics = Metrics::new();
        for number in 0..10_000 {
            metrics.record(Metric::RecordsGeneral, &format!("{number}{}", "é".repeat(100)), 1);
        }
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot.of(Metric::RecordsGeneral).count(), MAX_LABELS + 1);
        assert_eq!(snapshot.total(Metric::RecordsGeneral), 10_000);
        assert!(snapshot.samples.iter().all(|sample| sample.label.len() <= MAX_LABEL));
    }
}
