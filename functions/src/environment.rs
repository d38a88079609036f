//! A function's settings: its environment, read once at the cold start.
//!
//! What is missing or malformed is named with what is expected there. Values are never shown: some are secrets, and whoever can
//! read the function's log need not be able to read its settings.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Why a function cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A variable that has no default is not set.
    #[error("{name} is not set: expected {expected}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A variable is not what is expected.
    #[error("{name} is malformed ({length} bytes): expected {expected}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What is expected.
        expected: &'static str,
        /// How long the value is.
        length: usize,
    },
}

/// The variables of a process.
#[derive(Clone)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// This process's. Variables that are not UTF-8 are not there.
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// These. An empty value is none: that is how templates leave a setting out.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// A variable's text without blanks around it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// A variable that must be there.
    ///
    /// # Errors
    /// [`EnvironmentError::Missing`].
    pub fn required(&self, name: &'static str, expected: &'static str) -> Result<&str, EnvironmentError> {
        self.text(name).ok_or(EnvironmentError::Missing { name, expected })
    }

    /// A variable as a value of a type.
    ///
    /// # Errors
    /// [`EnvironmentError::Malformed`].
    pub fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, EnvironmentError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Self::malformed(name, expected, text)),
        }
    }

    /// A variable that must be there, as a value of a type.
    ///
    /// # Errors
    /// Both.
    pub fn required_as<T: FromStr>(&self, name: &'static str, expected: &'static str) -> Result<T, EnvironmentError> {
        let text = self.required(name, expected)?;
        text.parse().map_err(|_| Self::malformed(name, expected, text))
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// [`EnvironmentError::Malformed`].
    pub fn number(
        &self,
        name: &'static str,
        expected: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, EnvironmentError> {
        match self.parsed::<u64>(name, expected)? {
            Some(number) if !bounds.contains(&number) => {
                Err(Self::malformed(name, expected, self.text(name).unwrap_or_default()))
            }
            number => Ok(number),
        }
    }

    /// `true` or `false`, in any letter case.
    ///
    /// # Errors
    /// [`EnvironmentError::Malformed`].
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, EnvironmentError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(Self::malformed(name, "true or false", text)),
        }
    }

    /// Says that a variable is not what is expected.
    pub fn malformed(name: &'static str, expected: &'static str, value: &str) -> EnvironmentError {
        EnvironmentError::Malformed { name, expected, length: value.len() }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn what_is_wrong_is_named_and_never_shown() {
        let set =
            environment(&[("A", " x "), ("B", "  "), ("N", "canary"), ("BIG", "9999"), ("F", "TRUE"), ("G", "yes")]);
        assert_eq!(set.required("A", "a word"), Ok("x"));
        assert_eq!(set.required("B", "a word").unwrap_err().to_string(), "B is not set: expected a word");
        let error = set.parsed::<u64>("N", "a number").unwrap_err();
        assert_eq!(error.to_string(), "N is malformed (6 bytes): expected a number");
        assert!(set.number("BIG", "1 to 100", 1..=100).is_err());
        assert_eq!((set.flag("F", false), set.flag("Z", true)), (Ok(true), Ok(true)));
        assert!(set.flag("G", false).unwrap_err().to_string().contains("true or false"));
        assert!(!format!("{set:?} {error:?}").contains("canary"));
    }
}
