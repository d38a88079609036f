//! OCSF events as activity events of CloudTrail Lake, which `PutAuditEvents` takes.
//!
//! [`audit_event`] takes an event of any class and OCSF version and gives one entry of the request: a pure function of the
//! event and the [`Destination`], which is the account that owns the channel. Which attribute becomes which field is a table
//! in `docs/FORMS.md`.
//!
//! - **Identity.** The entry's `id` and the event's `UID` are `metadata.uid`: an event that is sent twice has the same.
//! - **Limits.** Texts are cut at a character and end with `…`, identifiers keep their beginning and a digest of the whole
//!   (`bounded.rs`). JSON objects leave out their largest members and name them under `truncated` (`members.rs`).
//! - **The original.** `additionalEventData.ocsf` is the event itself, with `raw_data` and `unmapped` where it has them.
//! - **Sources of the rules.** The API reference of `PutAuditEvents` (botocore's service model), and the user guide,
//!   "CloudTrail Lake integrations event schema". `tests/peers/aws_forms.py` judges events by them.

mod identity;
mod members;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tributary_ocsf::{Object, Schema, civil_from_days};

use crate::bounded::{Id, Text};
use crate::destination::Destination;
use crate::view::View;

use identity::Identity;
use members::Members;

/// Largest objects, in bytes of JSON ("100 kB" and "28 kB", the smaller reading).
const MAX_PARAMETERS: usize = 100_000;
const MAX_ADDITIONAL: usize = 28_000;
/// Our own limit for what the schema sets none for.
const MAX_DETAILS: usize = 8_000;
/// Largest `eventData`: CloudTrail's events have at most 256 KB.
const MAX_EVENT: usize = 256_000;
/// What `eventData` has beside its three large objects: seven texts of at most 1,024 characters, six bytes each, the names,
/// and the identity's details.
const MAX_REST: usize = 60_000;
const _: () = assert!(MAX_PARAMETERS + MAX_ADDITIONAL + MAX_REST < MAX_EVENT);

/// Categories of OCSF whose `status_id` is not about success.
const FINDINGS: i32 = 2;
/// `status_id` Failure.
const FAILURE: i64 = 2;

/// Attributes that say what was asked for: the name that the parameter gets, and its path.
const REQUEST: [(&str, &str); 22] = [
    ("request", "api.request"),
    ("service", "api.service"),
    ("apiVersion", "api.version"),
    ("http_request", "http_request"),
    ("resources", "resources"),
    ("resource", "resource"),
    ("entity", "entity"),
    ("group", "group"),
    ("user", "user"),
    ("privileges", "privileges"),
    ("policy", "policy"),
    ("query", "query"),
    ("query_info", "query_info"),
    ("database", "database"),
    ("databucket", "databucket"),
    ("table", "table"),
    ("file", "file"),
    ("app", "app"),
    ("target_service", "service"),
    ("dst_endpoint", "dst_endpoint"),
    ("connection_info", "connection_info"),
    ("finding_info", "finding_info"),
];
/// Attributes that say what came of it.
const RESPONSE: [(&str, &str); 9] = [
    ("response", "api.response"),
    ("http_response", "http_response"),
    ("entity_result", "entity_result"),
    ("user_result", "user_result"),
    ("status", "status"),
    ("status_code", "status_code"),
    ("status_detail", "status_detail"),
    ("disposition", "disposition"),
    ("answers", "answers"),
];

/// An entry of `PutAuditEvents`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    id: String,
    event_data: String,
}

impl AuditEvent {
    /// `id`: the same whenever the event is sent.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `eventData`: one JSON document of at most 256 KB.
    pub fn event_data(&self) -> &str {
        &self.event_data
    }

    /// `id` and `eventData`, by value.
    pub fn into_parts(self) -> (String, String) {
        (self.id, self.event_data)
    }

    /// `eventDataChecksum`: base64 of the SHA-256 of `eventData`.
    pub fn checksum(&self) -> String {
        STANDARD.encode(Sha256::digest(self.event_data.as_bytes()))
    }

    /// The entry as JSON: `id`, `eventData` as a text, `eventDataChecksum`.
    pub fn json(&self) -> String {
        let mut entry = Members::default();
        entry.text("id", &self.id);
        entry.text("eventData", &self.event_data);
        entry.text("eventDataChecksum", &self.checksum());
        entry.write()
    }
}

/// The form of an event in CloudTrail Lake.
pub fn audit_event(schema: &Schema, event: &Object<'_>, destination: &Destination) -> AuditEvent {
    let event = View::new(schema, event);
    let uid = event.first_text(&["metadata.uid"]).and_then(Id::<1024>::new);
    let uid = uid.unwrap_or_else(|| Id::digest(event.digest()));
    AuditEvent { id: entry_id(uid.as_str()), event_data: event_data(event, uid.as_str(), destination) }
}

/// `id` has at most 128 letters, digits, `-` and `_`. A UID that has others is a digest here.
fn entry_id(uid: &str) -> String {
    let fits = uid.len() < 128 && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { uid.to_owned() } else { Id::<1024>::digest(Sha256::digest(uid)).into_cow().into_owned() }
}

fn event_data(event: View<'_>, uid: &str, destination: &Destination) -> String {
    let mut data = Members::default();
    let failed = event.int("status_id") == Some(FAILURE) && event.category_uid() != Some(FINDINGS);
    let identity = Identity::of(event);
    let version = event.text("metadata.version").and_then(Text::<256>::new);
    let agent = event.text("http_request.user_agent").and_then(Text::<1024>::new);
    let source = event.first_text(&["api.service.name", "metadata.product.name", "metadata.product.vendor_name"]);
    let name = event.first_text(&["api.operation", "type_name", "activity_name"]).unwrap_or_else(|| event.caption());
    data.text("version", version.as_ref().map_or(event.schema().version.as_str(), Text::as_str));
    data.json("userIdentity", identity.json(MAX_DETAILS));
    data.text_of("userAgent", agent.as_ref().map(Text::as_str));
    data.text("eventSource", source.and_then(Text::<1024>::new).as_ref().map_or("unknown", Text::as_str));
    data.text("eventName", Text::<1024>::new(name).as_ref().map_or("unknown", Text::as_str));
    data.text("eventTime", &seconds(event.time("time").unwrap_or_default()));
    data.text("UID", uid);
    if failed {
        let code = event.first_text(&["api.response.error", "status_code", "status"]).unwrap_or("Failure");
        let message = event.first_text(&["api.response.error_message", "status_detail", "api.response.message"]);
        data.text_of("errorCode", Text::<256>::new(code).as_ref().map(Text::as_str));
        data.text_of("errorMessage", message.and_then(Text::<256>::new).as_ref().map(Text::as_str));
    }
    data.text_of("sourceIPAddress", address(event).as_deref());
    data.text("recipientAccountId", destination.account());
    let parameters = pick(event, &REQUEST);
    let elements = pick(event, &RESPONSE);
    let parameters = (!parameters.is_empty()).then(|| parameters.write_within(MAX_PARAMETERS));
    let left = MAX_EVENT - MAX_REST - MAX_ADDITIONAL - parameters.as_ref().map_or(0, String::len);
    let elements = (!elements.is_empty()).then(|| elements.write_within(MAX_PARAMETERS.min(left)));
    if let Some(json) = parameters {
        data.json("requestParameters", json);
    }
    if let Some(json) = elements {
        data.json("responseElements", json);
    }
    data.json("additionalEventData", additional(event));
    let data = data.write();
    debug_assert!(data.len() <= MAX_EVENT, "{} bytes", data.len());
    data
}

fn pick(event: View<'_>, paths: &[(&'static str, &str)]) -> Members {
    let mut members = Members::default();
    for (name, path) in paths {
        if let Some(value) = event.value(path) {
            members.value(name, event.schema(), value, MAX_PARAMETERS);
        }
    }
    members
}

/// The event itself.
fn additional(event: View<'_>) -> String {
    let mut members = Members::default();
    for (name, value) in event.fields() {
        members.value(name, event.schema(), value, MAX_ADDITIONAL);
    }
    let mut object = String::from("{\"ocsf\":");
    object.push_str(&members.write_within(MAX_ADDITIONAL - 16));
    object.push('}');
    object
}

/// Where the request came from.
fn address(event: View<'_>) -> Option<String> {
    let text = event.first_text(&["src_endpoint.ip", "device.ip"])?;
    text.trim().parse::<std::net::IpAddr>().ok().map(|address| address.to_string())
}

/// `yyyy-MM-ddTHH:mm:ssZ`.
fn seconds(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1_000);
    let (year, month, day) = civil_from_days(days);
    let mut text = String::with_capacity(20);
    let _ =
        write!(text, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    text
}
