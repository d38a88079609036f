//! `Resources`: what the finding is about.
//!
//! ASFF names no resource types of other clouds: the type is `Other`, and what the event says of the resource stands in
//! `Details.Other`. Partition and region are the destination's, for a finding can name AWS's only; the resource's own
//! region is one of the details.

use std::borrow::Cow;

use tributary_ocsf::{Object, Value, write_value};

use crate::bounded::{Id, Text};
use crate::destination::Destination;
use crate::view::View;

use super::form::{Details, Fields, Resource};
use super::marks::Marks;

/// Most resources of a finding (API reference, `AwsSecurityFinding.Resources`).
const MAX_RESOURCES: usize = 32;
/// Most details of a resource (user guide, "Other object in ASFF").
const MAX_DETAILS: usize = 50;
/// Objects within a resource that are looked into.
const MAX_DEPTH: usize = 3;

/// Where in the cloud it happened; every resource says it.
const CLOUD: [&str; 5] = ["cloud.account.uid", "cloud.account.type", "cloud.org.uid", "cloud.provider", "cloud.region"];

/// The resources; there is at least one: the account, where the event names no other, else the finding itself.
pub(crate) fn resources<'v>(
    event: View<'v>,
    destination: &'v Destination,
    id: &Id<'v, 512>,
    marks: &mut Marks,
) -> Vec<Resource<'v>> {
    let resource = |id, details: Fields<'v>| Resource {
        r#type: "Other",
        id,
        partition: destination.partition().as_str(),
        region: destination.region(),
        details: (!details.is_empty()).then_some(Details { other: details }),
    };
    // One version has `resource`, another `resources`, a third both.
    let named = event.list("resources").chain(event.list("resource")).filter_map(|named| {
        let id = named.first_text(&["uid", "name"]).and_then(Id::new)?;
        Some((id, named))
    });
    let kept = marks.first("Resources", MAX_RESOURCES, named);
    let mut resources: Vec<Resource<'v>> =
        kept.into_iter().map(|(id, named)| resource(id, details(event, Some(named), marks))).collect();
    if resources.is_empty() {
        let id = event.text("cloud.account.uid").and_then(Id::new).unwrap_or_else(|| id.clone());
        resources.push(resource(id, details(event, None, marks)));
    }
    resources
}

fn details<'v>(event: View<'v>, named: Option<View<'v>>, marks: &mut Marks) -> Fields<'v> {
    let mut fields = Fields::default();
    let mut left_out = 0;
    if let Some(named) = named {
        collect(named, "", 0, &mut fields, &mut left_out);
    }
    for path in CLOUD {
        if let Some(value) = event.text(path) {
            push(path, value.into(), &mut fields, &mut left_out);
        }
    }
    marks.add("Resources.Details", left_out);
    fields
}

/// Puts the values of an object, its own before those of the objects in it.
fn collect<'v>(object: View<'v>, prefix: &str, depth: usize, fields: &mut Fields<'v>, left_out: &mut usize) {
    let mut inner: Vec<(&str, &'v Object<'v>)> = Vec::new();
    for (name, value) in object.fields() {
        let text: Cow<'v, str> = match value {
            // The resource's Id.
            Value::Str(_) if depth == 0 && name == "uid" => continue,
            Value::Str(text) | Value::Json(text) => (*text).into(),
            Value::Int(_) if object.has_caption(name) => continue,
            Value::Array(values) if values.iter().all(|value| matches!(value, Value::Str(_))) => {
                let texts =
                    values.iter().filter_map(|value| if let Value::Str(text) = value { Some(*text) } else { None });
                texts.collect::<Vec<_>>().join(", ").into()
            }
            Value::Object(within) if depth + 1 < MAX_DEPTH => {
                inner.push((name, within));
                continue;
            }
            other => {
                let mut text = String::new();
                write_value(object.schema(), other, &mut text);
                text.into()
            }
        };
        push(&format!("{prefix}{name}"), text, fields, left_out);
    }
    for (name, within) in inner {
        let prefix = format!("{prefix}{name}.");
        collect(View::new(object.schema(), within), &prefix, depth + 1, fields, left_out);
    }
}

fn push<'v>(path: &str, value: Cow<'v, str>, fields: &mut Fields<'v>, left_out: &mut usize) {
    // "Fewer than" 128 and 1,024 characters.
    let Some(key) = Id::<127>::new(path.to_owned()) else { return };
    let value = if path.ends_with("uid") {
        Id::<1023>::new(value).map(Id::into_cow)
    } else {
        Text::<1023>::new(value).map(Text::into_cow)
    };
    let Some(value) = value else { return };
    if fields.0.len() == MAX_DETAILS {
        *left_out += 1;
    } else {
        fields.0.push((key.into_cow(), value));
    }
}
