//! What was found, bounded.

use crate::validate::path::Path;

/// How bad a finding is; the severest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Allowed, but looks wrong.
    Note,
    /// Against the schema's own words, though the official validator lets it pass.
    Strict,
    /// Invalid by the official validator's rules, or impossible to store.
    Error,
}

impl Level {
    /// `E`, `S` or `W`.
    pub fn letter(self) -> char {
        match self {
            Self::Error => 'E',
            Self::Strict => 'S',
            Self::Note => 'W',
        }
    }
}

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// Which rule, such as `attribute_unknown`; `docs/VALIDATION.md` lists them.
    pub code: &'static str,
    /// Where, such as `resources[0].name`; empty for the event itself.
    pub path: String,
    /// What is wrong. Quotes at most a short part of the event.
    pub message: String,
}

/// The judgement of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The findings that were kept.
    pub findings: Vec<Finding>,
    /// Findings of level [`Level::Error`], kept or not.
    pub errors: u64,
    /// Findings of level [`Level::Strict`], kept or not.
    pub strict: u64,
    /// Findings of level [`Level::Note`], kept or not.
    pub notes: u64,
    /// Whether the event is valid by the rules it was judged by.
    pub valid: bool,
    most: usize,
}

impl Report {
    pub(crate) fn new(most: usize) -> Self {
        Self { findings: Vec::new(), errors: 0, strict: 0, notes: 0, valid: true, most }
    }

    pub(crate) fn close(mut self, strict_warnings: bool) -> Self {
        self.valid = self.errors == 0 && self.strict == 0 && !(strict_warnings && self.notes > 0);
        self
    }

    /// The judgement of what is no JSON value; `why` says where it breaks.
    pub fn not_json(why: &impl std::fmt::Display) -> Self {
        let mut report = Self::new(1);
        report.error("not_json", &super::path::ROOT, || why.to_string());
        report.close(false)
    }

    /// Adds a finding from beyond the event itself, such as its order among others.
    pub fn push(&mut self, finding: Finding, rules: &super::Rules) {
        match finding.level {
            Level::Error => self.errors += 1,
            Level::Strict => self.strict += 1,
            Level::Note => self.notes += 1,
        }
        self.valid &= finding.level == Level::Note && !rules.strict_warnings;
        self.findings.push(finding);
    }

    /// Findings that were counted but not kept.
    pub fn omitted(&self) -> u64 {
        (self.errors + self.strict + self.notes).saturating_sub(self.findings.len() as u64)
    }

    pub(crate) fn error(&mut self, code: &'static str, path: &Path<'_>, message: impl FnOnce() -> String) {
        self.errors += 1;
        self.add(Level::Error, code, path, message);
    }

    pub(crate) fn strict(&mut self, code: &'static str, path: &Path<'_>, message: impl FnOnce() -> String) {
        self.strict += 1;
        self.add(Level::Strict, code, path, message);
    }

    pub(crate) fn note(&mut self, code: &'static str, path: &Path<'_>, message: impl FnOnce() -> String) {
        self.notes += 1;
        self.add(Level::Note, code, path, message);
    }

    /// Keeps the finding if there is room, or in place of a milder one.
    fn add(&mut self, level: Level, code: &'static str, path: &Path<'_>, message: impl FnOnce() -> String) {
        let make = || Finding { level, code, path: path.text(), message: message() };
        if self.findings.len() < self.most {
            self.findings.push(make());
        } else if let Some(milder) = self.findings.iter_mut().rev().min_by_key(|known| known.level)
            && milder.level < level
        {
            *milder = make();
        }
    }
}
