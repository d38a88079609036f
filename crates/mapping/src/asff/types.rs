//! `Types`: what kind of finding it is, in AWS's taxonomy `namespace/category/classifier`.
//!
//! The namespace is always one of AWS's five. The category is the ATT&CK tactic, and the classifier what the source calls
//! the finding. ("Types taxonomy for ASFF"; a custom classifier is allowed by the partner guide.)

use crate::bounded::Text;
use crate::view::{View, is_blank};

use super::Class;
use super::marks::Marks;

/// Most types of a finding (API reference, `AwsSecurityFinding.Types`).
const MAX_TYPES: usize = 50;

const CHECKS: &str = "Software and Configuration Checks";

/// The types, each once; there is at least one.
pub(crate) fn types<'v>(event: View<'v>, class: Class, marks: &mut Marks) -> Vec<Text<'v, 256>> {
    let mut paths = Paths::default();
    match class {
        Class::Vulnerability if event.list("vulnerabilities").any(|found| found.text("cve.uid").is_some()) => {
            paths.push(join(CHECKS, &["Vulnerabilities", "CVE"]));
        }
        Class::Vulnerability => paths.push(join(CHECKS, &["Vulnerabilities"])),
        Class::Compliance => {
            let mut standards = event.texts("compliance.standards").filter(|name| !is_blank(name)).peekable();
            if standards.peek().is_none() {
                paths.push(CHECKS.to_owned());
            }
            standards.for_each(|name| paths.push(join(CHECKS, &["Industry and Regulatory Standards", name])));
        }
        Class::Detection => {}
    }
    let classifier = event.texts("finding_info.types").find(|text| !is_blank(text));
    let attacks = event.list("finding_info.attacks").chain(event.list("attacks"));
    for tactic in attacks.flat_map(|attack| attack.list("tactic").chain(attack.list("tactics"))) {
        if let Some((namespace, category)) = category(tactic) {
            paths.push(join(namespace, &[&[category][..], classifier.as_slice()].concat()));
        }
    }
    if paths.found.is_empty() {
        paths.push(join("Unusual Behaviors", classifier.as_slice()));
    }
    marks.add("Types", paths.left_out);
    paths.found.into_iter().filter_map(Text::new).collect()
}

/// Types so far, each once.
#[derive(Default)]
struct Paths {
    found: Vec<String>,
    left_out: usize,
}

impl Paths {
    fn push(&mut self, path: String) {
        if self.found.contains(&path) {
            return;
        }
        if self.found.len() == MAX_TYPES {
            self.left_out += 1;
        } else {
            self.found.push(path);
        }
    }
}

/// Tactics that AWS's taxonomy sees as effects stand there; the others are categories of `TTPs` by their own name.
fn category(tactic: View<'_>) -> Option<(&'static str, &str)> {
    let name = tactic.text("name").filter(|name| !is_blank(name));
    match tactic.text("uid") {
        Some("TA0010") => Some(("Effects", "Data Exfiltration")),
        Some("TA0040") => Some(("Effects", "Impact")),
        uid => Some(("TTPs", name.or(uid.filter(|uid| !is_blank(uid)))?)),
    }
}

/// A path of parts; a part's own slash would make two of it.
fn join(namespace: &str, parts: &[&str]) -> String {
    let mut path = namespace.to_owned();
    for part in parts {
        path.push('/');
        // Far more than the path may have: a part of megabytes is not copied for its first letters.
        path.extend(part.trim().chars().take(256).map(|char| if char == '/' { '-' } else { char }));
    }
    path
}
