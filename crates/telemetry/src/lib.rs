//! What Tributary says of itself: metrics and logs, each name a type.
//!
//! - [`Metric`] is the closed list of metrics, with unit, label and meaning; dashboards, alarms and documentation are made
//!   from it.
//! - [`Metrics`] counts in memory; [`Metrics::snapshot`] is what a summary prints, [`Snapshot::emf`] what CloudWatch reads
//!   from a log line (embedded metric format).
//! - [`catalogue`] writes the list as files: `infra/generated/metrics.json` and `docs/METRICS.md`.
//! - [`Check`] is what a look at a deployment found, and what to do about it.
//! - [`line`] makes one line of what others say.
//! - [`logging`] sets up structured logs.
//!
//! Levels: INFO, one line a batch or a run. WARN, something went wrong and **nothing was lost**. ERROR, an event was lost or a
//! person must act. No level carries an event's content, a secret or personal data.

pub mod catalogue;
mod check;
mod emf;
pub mod line;
pub mod logging;
mod metric;
mod metrics;

pub use check::{Check, CheckState};
pub use metric::{Metric, Unit};
pub use metrics::{Metrics, Sample, Snapshot};
