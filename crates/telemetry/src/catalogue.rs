//! The list of metrics as files, for dashboards, alarms and readers.

use serde_json::{Value, json};

use crate::Metric;

/// CloudWatch namespace of every metric.
pub const NAMESPACE: &str = "Tributary";
/// Dimension of every metric: the integration's instance id.
pub const MODULE_DIMENSION: &str = "Module";

/// The list as JSON: `{"namespace","dimension","metrics":[{"name","unit","kind","label","description"}]}`, where `kind` is
/// `counter` (sum it) or `gauge` (take the largest), and `label` is the second dimension or null.
pub fn json() -> String {
    let metric = |metric: &Metric| {
        json!({"name": metric.name(), "unit": metric.unit().as_str(), "kind": kind(*metric), "label": metric.label(),
            "description": metric.about()})
    };
    let metrics: Vec<Value> = Metric::ALL.iter().map(metric).collect();
    let list = json!({"namespace": NAMESPACE, "dimension": MODULE_DIMENSION, "metrics": metrics});
    format!("{list:#}\n")
}

/// The list as a page.
pub fn markdown() -> String {
    let mut page = format!(
        "# Metrics\n\nCloudWatch namespace `{NAMESPACE}`, written as embedded metric format on standard output: no call to CloudWatch, \
         no permission. Every metric has the dimension `{MODULE_DIMENSION}` (the integration's instance id); those with a label are \
         also counted by it. Generated from `crates/telemetry/src/metric.rs`, like `infra/generated/metrics.json`, which dashboards and \
         alarms read.\n\n| metric | unit | kind | label | |\n|---|---|---|---|---|\n"
    );
    for metric in Metric::ALL {
        let label = metric.label().map_or_else(String::new, |label| format!("`{label}`"));
        let row = format!(
            "| `{}` | {} | {} | {label} | {} |\n",
            metric.name(),
            metric.unit().as_str(),
            kind(*metric),
            metric.about()
        );
        page.push_str(&row);
    }
    page
}

fn kind(metric: Metric) -> &'static str {
    if metric.is_gauge() { "gauge" } else { "counter" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_stands_in_both() {
        let (json, page) = (json(), markdown());
        for metric in Metric::ALL {
            assert!(json.contains(&format!("\"name\": \"{}\"", metric.name())), "{json}");
            assert!(page.contains(&format!("| `{}` |", metric.name())), "{page}");
        }
    }
}
