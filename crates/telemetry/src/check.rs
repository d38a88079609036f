//! What a look at a deployment found: for people who must act, and for scripts.

use std::fmt;

/// How it stands with what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It was not looked at: what it needs is not there, or it is not used.
    Skipped,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

impl CheckState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was looked at. No secret may be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, such as `ledger: time to live`.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was found, in one line.
    pub found: String,
    /// What to do, a command where there is one.
    pub remedy: Option<String>,
}

impl Check {
    fn new(state: CheckState, name: impl Into<String>, found: impl Into<String>, remedy: Option<String>) -> Self {
        Self { name: name.into(), state, found: found.into(), remedy }
    }

    /// It is as it should be.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(CheckState::Ok, name, found, None)
    }

    /// It works; `remedy` says what would be better.
    pub fn warning(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(CheckState::Warning, name, found, Some(remedy.into()))
    }

    /// It does not work; `remedy` says what to do.
    pub fn failed(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(CheckState::Failed, name, found, Some(remedy.into()))
    }

    /// It failed with an error whose text says what, then `; `, then what to do; `otherwise` where it does not.
    pub fn failed_with(name: impl Into<String>, error: impl fmt::Display, otherwise: &str) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((found, remedy)) => Self::failed(name, found, remedy),
            None => Self::failed(name, text, otherwise),
        }
    }

    /// It was not looked at, for this reason.
    pub fn skipped(name: impl Into<String>, because: impl Into<String>) -> Self {
        Self::new(CheckState::Skipped, name, because, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_advice_is_the_remedy() {
        let check = Check::failed_with("x", "it is not there; make it", "look");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("it is not there", Some("make it")));
        let check = Check::failed_with("x", "it is not there", "look");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("it is not there", Some("look")));
        assert_eq!(check.state.to_string(), "failed");
    }
}
