//! How a command fails: what, where, what to do next, and the exit code.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// Some records went to quarantine, the rest is done.
pub(crate) const SOME_QUARANTINED: u8 = 3;
/// A check failed.
pub(crate) const CHECK_FAILED: u8 = 1;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration.
    Usage(String),
    /// A check says no; its findings are printed already or are the text.
    Check(String),
    /// A file, server or back end failed.
    Backend(String),
    /// Whoever reads the output has gone: nothing to say to nobody.
    Closed,
}

impl Failure {
    pub(crate) fn file(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Backend(format!("cannot {action} {}: {error}", path.display()))
    }

    /// The text, for a log line.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Usage(text) | Self::Check(text) | Self::Backend(text) => text,
            Self::Closed => "the output was closed",
        }
    }

    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) => (text, 2),
            Self::Check(text) => (text, CHECK_FAILED),
            Self::Backend(text) => (text, 4),
            Self::Closed => return ExitCode::SUCCESS,
        };
        eprintln!("tributary: {text}");
        ExitCode::from(code)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Backend(format!("cannot write the output: {error}")),
        }
    }
}
