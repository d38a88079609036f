//! Progress of long work.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tributary_pipeline::Progress;

/// A bar on a terminal, nothing in a pipe.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A bar, and what moves it as a job goes on.
pub(crate) fn shown(template: &str) -> (ProgressBar, Progress) {
    let bar = bar(0, template);
    let moved = bar.clone();
    let progress = Progress::new(move |done, total| {
        // Not before there is something to show: a question may come first.
        moved.enable_steady_tick(Duration::from_millis(200));
        moved.set_length(total);
        moved.set_position(done);
    });
    (bar, progress)
}
