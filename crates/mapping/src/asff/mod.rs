//! OCSF findings as AWS Security Finding Format 2018-10-08, which Security Hub CSPM imports.
//!
//! [`finding`] takes an event of class 2002 Vulnerability Finding, 2003 Compliance Finding or 2004 Detection Finding, of any
//! OCSF version that the tables have, and gives one finding: a pure function of the event and the [`Destination`]. Times are
//! the event's own. Which attribute becomes which field is a table in `docs/FORMS.md`.
//!
//! - **Identity.** `Id` is `finding_info.uid`: the same over all updates of a finding, and what the lake's row is found by.
//!   `UpdatedAt` is the latest time that the event knows, which decides over the order of updates.
//! - **Limits.** Each documented length is part of its field's type (`bounded.rs`): texts are cut at a character and end
//!   with `…`, identifiers keep their beginning and a digest of the whole, addresses are whole or left out. Lists keep their
//!   first elements, and `ProductFields` says under `tributary/truncated` how many are missing. `size.rs` keeps 240 KB.
//! - **Sources of the rules.** The API reference of `BatchImportFindings` (the same text is in botocore's service model), the
//!   user guide ("AWS Security Finding Format", "Types taxonomy for ASFF", "Other object in ASFF"), and the partner guide
//!   ("Guidelines for mapping findings into ASFF"). `tests/peers/aws_forms.py` judges findings by the first two.

mod evidence;
mod form;
mod marks;
mod product_fields;
mod resources;
mod size;
mod state;
mod types;
mod vulnerabilities;

use std::borrow::Cow;

use tributary_ocsf::{Object, Schema};

use crate::bounded::{Id, Text, Url};
use crate::destination::Destination;
use crate::view::View;

use form::{Form, Moment, ProviderFields, ProviderSeverity, Recommendation, Remediation};
use marks::Marks;

/// A finding, ready to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    id: String,
    json: String,
}

impl Finding {
    /// `Id`: unique within the product, the same over updates.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The finding as one JSON document of at most 240 KB.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The finding as one JSON document, by value.
    pub fn into_json(self) -> String {
        self.json
    }
}

/// The classes that have a form in ASFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Vulnerability,
    Compliance,
    Detection,
}

impl Class {
    fn of(uid: i32) -> Option<Self> {
        match uid {
            2002 => Some(Self::Vulnerability),
            2003 => Some(Self::Compliance),
            2004 => Some(Self::Detection),
            _ => None,
        }
    }
}

/// The ASFF form of an event; none when its class is no finding.
pub fn finding(schema: &Schema, event: &Object<'_>, destination: &Destination) -> Option<Finding> {
    let event = View::new(schema, event);
    let class = Class::of(event.class_uid()?)?;
    let mut marks = Marks::default();
    let form = form(event, class, destination, &mut marks);
    let id = form.id.as_str().to_owned();
    Some(Finding { id, json: size::write(form, marks) })
}

fn form<'v>(event: View<'v>, class: Class, destination: &'v Destination, marks: &mut Marks) -> Form<'v> {
    let id = id(event);
    let times = Times::of(event);
    let rule = rule(event);
    let product = event.text("metadata.product.name");
    let generator = [product, rule.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("/");
    let compliance = state::compliance(event, marks);
    let severity = state::severity(event, compliance.as_ref());
    let types = types::types(event, class, marks);
    let title = event.first_text(&["finding_info.title", "message"]).unwrap_or_else(|| event.caption());
    let description = event.first_text(&["finding_info.desc", "message"]).unwrap_or(title);
    Form {
        schema_version: "2018-10-08",
        product_arn: destination.product_arn(),
        product_name: product.and_then(Text::new),
        company_name: event.text("metadata.product.vendor_name").and_then(Text::new),
        generator_id: Id::new(generator).unwrap_or_else(|| id.clone()),
        aws_account_id: destination.account(),
        first_observed_at: times.first,
        last_observed_at: times.last,
        created_at: times.created,
        updated_at: times.updated,
        title: Text::new(title).unwrap_or(Text::known("Finding")),
        description: Text::new(description).unwrap_or(Text::known("Finding")),
        remediation: remediation(event),
        source_url: event.text("finding_info.src_url").and_then(Url::new),
        product_fields: product_fields::product_fields(event, &id, marks),
        network: evidence::network(event),
        process: evidence::process(event),
        threat_intel_indicators: evidence::indicators(event, times.last, marks),
        resources: resources::resources(event, destination, &id, marks),
        workflow: state::workflow(event, class, compliance.as_ref()),
        record_state: state::record_state(event, compliance.as_ref()),
        compliance,
        vulnerabilities: vulnerabilities::vulnerabilities(event, marks),
        finding_provider_fields: ProviderFields {
            confidence: event.int("confidence_score").and_then(|score| u8::try_from(score).ok()).filter(|s| *s <= 100),
            severity: ProviderSeverity { label: severity.label, original: severity.original.clone() },
            types: types.clone(),
        },
        severity,
        types,
        id,
    }
}

/// `finding_info.uid`, which OCSF requires. An event without it is its own finding.
fn id(event: View<'_>) -> Id<'_, 512> {
    let uid = event.first_text(&["finding_info.uid", "metadata.uid"]).and_then(Id::new);
    uid.unwrap_or_else(|| Id::digest(event.digest()))
}

/// What made the finding: the analytic, or the check, or what kind of finding the source calls it.
fn rule(event: View<'_>) -> Option<Cow<'_, str>> {
    if let Some(rule) = event.first_text(&["finding_info.analytic.uid", "metadata.event_code"]) {
        return Some(rule.into());
    }
    let check = event.first_text(&["compliance.control"]);
    match (event.texts("compliance.standards").next(), check) {
        (Some(standard), Some(check)) => Some(format!("{standard}/{check}").into()),
        (None, Some(check)) => Some(check.into()),
        (_, None) => event.texts("finding_info.types").next().map(Cow::from),
    }
}

fn remediation(event: View<'_>) -> Option<Remediation<'_>> {
    let sources =
        || event.at("remediation").into_iter().chain(event.list("vulnerabilities").filter_map(|v| v.at("remediation")));
    let text = sources().find_map(|remediation| Text::new(remediation.text("desc")?));
    let url = sources().flat_map(|remediation| remediation.texts("references")).find_map(Url::new);
    (text.is_some() || url.is_some()).then_some(Remediation { recommendation: Recommendation { text, url } })
}

/// The four times of a finding.
struct Times {
    first: Moment,
    last: Moment,
    created: Moment,
    updated: Moment,
}

impl Times {
    fn of(event: View<'_>) -> Self {
        let first = |paths: &[&str]| paths.iter().find_map(|path| event.time(path));
        let time = event.time("time").unwrap_or_default();
        let created = event.time("finding_info.created_time").unwrap_or(time);
        let updated = event.time("finding_info.modified_time").unwrap_or(time).max(time).max(created);
        let seen = first(&["finding_info.first_seen_time", "start_time"]).unwrap_or(created);
        let last = first(&["finding_info.last_seen_time", "end_time"]).unwrap_or(time).max(seen);
        Self { first: Moment(seen), last: Moment(last), created: Moment(created), updated: Moment(updated) }
    }
}
