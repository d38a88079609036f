//! `ProductFields`: what of the event has no field of its own in ASFF.
//!
//! Three namespaces, told apart by what stands before the first slash: `tributary/` is about the finding, `ocsf/` holds
//! attributes of the event by their path, `unmapped/` fields of the source that OCSF has no attribute for, as long as there
//! is room. AWS reserves `aws/` for itself and wants no field here that ASFF has elsewhere.

use std::borrow::Cow;

use tributary_ocsf::Value;

use crate::bounded::{Id, Text};
use crate::view::{View, is_blank};

use super::form::Fields;
use super::marks::Marks;

/// Most fields of a finding (API reference, `AwsSecurityFinding.ProductFields`).
const MAX_FIELDS: usize = 50;
/// Says which lists are not whole.
pub(crate) const TRUNCATED: &str = "tributary/truncated";
/// Name of the fields that are the source's own.
pub(crate) const UNMAPPED: &str = "unmapped/";

/// Attributes of the event with one value.
const ATTRIBUTES: [&str; 25] = [
    "action",
    "activity_name",
    "class_name",
    "cloud.account.name",
    "cloud.account.uid",
    "cloud.org.uid",
    "cloud.provider",
    "cloud.region",
    "comment",
    "compliance.status",
    "confidence",
    "disposition",
    "finding_info.analytic.name",
    "impact",
    "metadata.correlation_uid",
    "metadata.event_code",
    "metadata.original_time",
    "metadata.product.feature.name",
    "metadata.product.version",
    "metadata.uid",
    "metadata.version",
    "risk_level",
    "status",
    "status_code",
    "status_detail",
];
/// Attributes in lists of objects: the list, the path in its element.
const LISTS: [(&str, &str); 8] = [
    ("evidences", "actor.user.name"),
    ("evidences", "actor.user.uid"),
    ("evidences", "file.path"),
    ("evidences", "process.cmd_line"),
    ("finding_info.attacks", "sub_technique.uid"),
    ("finding_info.attacks", "technique.name"),
    ("finding_info.attacks", "technique.uid"),
    ("vulnerabilities", "title"),
];
/// Most elements of a list that one field shows.
const MAX_ELEMENTS: usize = 20;

/// The fields. One is kept free for [`TRUNCATED`].
pub(crate) fn product_fields<'v>(event: View<'v>, id: &Id<'v, 512>, marks: &mut Marks) -> Fields<'v> {
    let mut fields = Fields::default();
    let mut left_out = 0;
    let mut push = |key: String, value: Cow<'v, str>| {
        let Some(key) = Id::<128>::new(key) else { return };
        let value = if key.as_str().starts_with("ocsf/") && key.as_str().ends_with("uid") {
            Id::<2048>::new(value).map(Id::into_cow)
        } else {
            Text::<2048>::new(value).map(Text::into_cow)
        };
        let Some(value) = value else { return };
        if fields.0.len() + 1 < MAX_FIELDS {
            fields.0.push((key.into_cow(), value));
        } else {
            left_out += 1;
        }
    };
    // The whole of an identifier that is a digest in `Id`.
    if let Some(uid) = event.text("finding_info.uid").filter(|uid| *uid != id.as_str()) {
        push("ocsf/finding_info.uid".to_owned(), uid.into());
    }
    for path in ATTRIBUTES {
        if let Some(value) = event.text(path) {
            push(format!("ocsf/{path}"), value.into());
        }
    }
    for (list, path) in LISTS {
        let mut shown: Vec<&str> = Vec::new();
        for text in event.list(list).filter_map(|element| element.text(path)).filter(|text| !is_blank(text)) {
            if shown.len() < MAX_ELEMENTS && !shown.contains(&text) {
                shown.push(text);
            }
        }
        if let Some(value) = join(&shown) {
            push(format!("ocsf/{list}.{path}"), value);
        }
    }
    let types: Vec<&str> = event.texts("finding_info.types").take(MAX_ELEMENTS).collect();
    if let Some(value) = join(&types) {
        push("ocsf/finding_info.types".to_owned(), value);
    }
    if let Some(Value::Map(entries)) = event.value("unmapped") {
        for (path, text) in *entries {
            push(format!("{UNMAPPED}{path}"), (*text).into());
        }
    }
    marks.add("ProductFields", left_out);
    fields
}

/// One text alone is borrowed.
fn join<'v>(texts: &[&'v str]) -> Option<Cow<'v, str>> {
    match texts {
        [] => None,
        [one] => Some((*one).into()),
        // Each is cut before all are joined: together they fill a field at most a few times.
        many => Some(
            many.iter()
                .filter_map(|text| Text::<2048>::new(*text))
                .fold(String::new(), |mut all, text| {
                    if !all.is_empty() {
                        all.push_str(", ");
                    }
                    all.push_str(text.as_str());
                    all
                })
                .into(),
        ),
    }
}

/// Says in the finding what it had to leave out.
pub(crate) fn say(marks: &Marks, fields: &mut Fields<'_>) {
    fields.0.retain(|(key, _)| key != TRUNCATED);
    if let Some(text) = marks.text().and_then(Text::<2048>::new) {
        fields.0.insert(0, (TRUNCATED.into(), text.into_cow().into_owned().into()));
    }
}
