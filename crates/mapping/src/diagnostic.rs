//! What is wrong with a mapping file, and where.

use std::fmt;

/// A place in a file. Lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Pos {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The fragment that it is a place in, by its number from 1; 0 for the map's own file.
    pub(crate) fragment: u16,
}

impl Pos {
    pub(crate) fn new(line: usize, column: usize) -> Self {
        Self { line, column, fragment: 0 }
    }

    /// The place `columns` further on the same line.
    pub(crate) fn right(self, columns: usize) -> Self {
        Self { column: self.column + columns, ..self }
    }
}

/// One fault of a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the set names it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// A fault whose file is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) pos: Pos,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Fault {
    pub(crate) fn new(pos: Pos, message: impl Into<String>) -> Self {
        Self { pos, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The fault in `file`, or in the one of the set's `fragments` that it is a place in.
    pub(crate) fn in_file(self, file: &str, fragments: &[String]) -> Diagnostic {
        let fragment = usize::from(self.pos.fragment).checked_sub(1).and_then(|index| fragments.get(index));
        Diagnostic {
            file: fragment.map_or_else(|| file.to_owned(), |name| format!("shared/{name}.yaml")),
            line: self.pos.line,
            column: self.pos.column,
            message: self.message,
            help: self.help,
        }
    }
}

/// The name in `known` that is closest to `name`, when it is close enough to be a slip.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, letter case ignored.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let next = (*cell + 1).min(left + 1).min(diagonal + usize::from(ca != *cb));
            diagonal = *cell;
            left = next;
            *cell = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_slips_only() {
        assert_eq!(distance("severty_id", "severity_id"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(closest("severty_id", ["time", "severity_id"]), Some("severity_id"));
        assert_eq!(closest("zzz", ["time", "severity_id"]), None);
    }
}
