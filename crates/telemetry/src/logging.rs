//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: for machines.
    Json,
    /// One line of text: for people.
    Text,
}

/// A log level that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no log level: use ERROR, WARN, INFO or DEBUG")]
pub struct InvalidLevel(String);

/// Starts logging for the process; a second call changes nothing.
///
/// Libraries are held at WARN: theirs are the lines that could carry what they transport.
///
/// # Errors
/// When `level` is none of ERROR, WARN, INFO, DEBUG (any case).
pub fn start(level: &str, format: Format) -> Result<(), InvalidLevel> {
    let level = match level.to_ascii_lowercase().as_str() {
        "error" => "error",
        "warn" | "warning" => "warn",
        "info" => "info",
        "debug" => "debug",
        _ => return Err(InvalidLevel(level.chars().take(20).collect())),
    };
    let filter = EnvFilter::new(directives(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        Format::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init()
        }
        Format::Text => builder.with_target(false).finish().try_init(),
    };
    Ok(())
}

/// A directive matches every target that starts with its name: `tributary` the crates of all rooms and modules.
fn directives(level: &str) -> String {
    let libraries = if level == "error" { "error" } else { "warn" };
    // Lambda's runtime writes every failure of an invocation once more, as the debug text of its own type.
    format!("{libraries},lambda_runtime::layers::panic=off,tributary={level}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn an_unknown_level_is_named() {
        let error = start("loud", Format::Text).unwrap_err();
        assert_eq!(error.to_string(), "\"loud\" is no log level: use ERROR, WARN, INFO or DEBUG");
        assert_eq!(start("Warn", Format::Json), Ok(()));
    }

    #[test]
    fn a_failure_is_not_logged_a_second_time_by_the_runtime() {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        for level in ["error", "warn", "info", "debug"] {
            let kept = Kept::default();
            let writer = kept.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new(directives(level)))
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "lambda_runtime::layers::panic", "twice");
                tracing::error!(target: "lambda_runtime", "the runtime's own");
                tracing::error!(target: "tributary_functions::invocation", "once");
            });
            let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("twice"), "{level}: {text}");
            assert!(text.contains("once") && text.contains("the runtime's own"), "{level}: {text}");
        }
    }
}
