//! Progress of long work.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing in a pipe.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
