//! A finding of at most 240 KB.
//!
//! What goes first is what Security Hub itself removes from a finding that is too large: the resources' details. Then
//! fields of the source that nobody mapped, then lists from their ends. What stays in any case (identifiers, title,
//! description, severity, state) is a fraction of the limit, whatever a source wrote.

use serde::Serialize;

use super::form::Form;
use super::marks::Marks;
use super::product_fields::{UNMAPPED, say};

/// Largest finding in bytes of JSON. AWS writes "240 KB" (API reference, `BatchImportFindings`): the smaller reading.
pub(crate) const MAX_FINDING: usize = 240_000;
/// Room for what is said of an omission.
const SLACK: usize = 512;

type Step = fn(&mut Form<'_>, &mut Marks, &mut usize);

/// What is given up, in this order.
const STEPS: [Step; 6] = [
    |form, marks, excess| {
        for resource in form.resources.iter_mut().rev() {
            if *excess == 0 {
                break;
            }
            if let Some(details) = resource.details.take() {
                *excess = excess.saturating_sub(size(&details));
                marks.add("Resources.Details", details.other.0.len());
            }
        }
    },
    |form, marks, excess| {
        let fields = &mut form.product_fields.0;
        while *excess > 0 && fields.last().is_some_and(|(key, _)| key.starts_with(UNMAPPED)) {
            shorten(fields, "ProductFields", marks, excess, 0);
        }
    },
    |form, marks, excess| shorten(&mut form.vulnerabilities, "Vulnerabilities", marks, excess, 0),
    |form, marks, excess| shorten(&mut form.product_fields.0, "ProductFields", marks, excess, 0),
    |form, marks, excess| {
        shorten(&mut form.types, "Types", marks, excess, 1);
        // The copy gives the same again.
        form.finding_provider_fields.types.clone_from(&form.types);
    },
    |form, marks, excess| {
        if let Some(compliance) = &mut form.compliance {
            shorten(&mut compliance.related_requirements, "Compliance.RelatedRequirements", marks, excess, 0);
            shorten(&mut compliance.associated_standards, "Compliance.AssociatedStandards", marks, excess, 0);
        }
        shorten(&mut form.resources, "Resources", marks, excess, 1);
    },
];

/// The finding's JSON.
pub(crate) fn write(mut form: Form<'_>, mut marks: Marks) -> String {
    say(&marks, &mut form.product_fields);
    let mut json = text(&form);
    for step in STEPS {
        if json.len() <= MAX_FINDING {
            break;
        }
        let mut excess = json.len() - MAX_FINDING + SLACK;
        step(&mut form, &mut marks, &mut excess);
        say(&marks, &mut form.product_fields);
        json = text(&form);
    }
    debug_assert!(json.len() <= MAX_FINDING, "{} bytes are left", json.len());
    json
}

/// Takes elements from the end of a list until enough is gone or `keep` are left.
fn shorten<T: Serialize>(list: &mut Vec<T>, name: &'static str, marks: &mut Marks, excess: &mut usize, keep: usize) {
    let before = list.len();
    while *excess > 0 && list.len() > keep {
        if let Some(element) = list.pop() {
            *excess = excess.saturating_sub(size(&element));
        }
    }
    marks.add(name, before - list.len());
}

fn size(value: &impl Serialize) -> usize {
    text(value).len()
}

/// Nothing in a form fails to be written: no map has keys that are no text, no number is infinite.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
