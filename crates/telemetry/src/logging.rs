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
    let libraries = if level == "error" { "error" } else { "warn" };
    // A directive matches every target that starts with its name: the crates of all rooms and modules.
    let filter = EnvFilter::new(format!("{libraries},tributary={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        Format::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init()
        }
        Format::Text => builder.with_target(false).finish().try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_is_named() {
        let error = start("loud", Format::Text).unwrap_err();
        assert_eq!(error.to_string(), "\"loud\" is no log level: use ERROR, WARN, INFO or DEBUG");
        assert_eq!(start("Warn", Format::Json), Ok(()));
    }
}
