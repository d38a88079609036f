//! Bodies and records that must end in quarantine, each with the reason that it must end there for.

use tributary_mapping::Reason;

use crate::json::{Json, list, object};
use crate::scene::Scene;
use crate::{Kind, kinds};

/// A body that is refused whole, as one record.
pub(crate) fn body(s: &mut Scene, marker: &str) -> (Vec<u8>, Reason) {
    match s.rng.below(24) {
        0..=8 => (broken(s, marker).into_bytes(), Reason::NotJson),
        9..=15 => (fragment(s, marker).into_bytes(), Reason::Fragment),
        16..=17 => {
            let deep = 10_000;
            let text = format!(
                "{{\"category\":\"Administrative\",\"correlationId\":\"{marker}\",\"properties\":{}{}}}",
                "[".repeat(deep),
                "]".repeat(deep)
            );
            (text.into_bytes(), Reason::TooDeep)
        }
        // One level more than is read, in objects.
        18 => {
            let text = format!("{}\"{marker}\"{}", "{\"a\":".repeat(65), "}".repeat(65));
            (text.into_bytes(), Reason::TooDeep)
        }
        19..=20 => (binary(s, marker), Reason::NotJson),
        21 => (Json::from(format!("health probe {marker}")).text().into_bytes(), Reason::NotALog),
        22 => (list![list![marker]].text().into_bytes(), Reason::NotALog),
        _ => (format!("<html><body>502 Bad Gateway ({marker})</body></html>\n").into_bytes(), Reason::NotJson),
    }
}

/// What relays and products make of JSON. None of these ends too early: that would be a fragment.
fn broken(s: &mut Scene, marker: &str) -> String {
    let at = s.moment();
    let head = format!("{{\"time\":\"{}\",\"category\":\"Administrative\",\"correlationId\":\"{marker}\"", s.iso(at));
    match s.rng.below(7) {
        0 => format!("{head},\"properties\":{{'message':'it''s done','level':'Info'}}}}"),
        1 => format!("{head},\"properties\":[ 227 B blob data ]}}"),
        2 => format!("{head},\"properties\":{{\"requestbody\":\"{{\"a\":\"b\"}}\"}}}}"),
        3 => format!("{{VendorName:\"Microsoft\",SystemAlertId:\"{marker}\",}}"),
        4 => format!("{head},}}"),
        5 => format!("{head},\"durationMs\":NaN}}"),
        _ => format!("{head},\"message\":\"say \"hi\" first\"}}"),
    }
}

/// A piece of a document: cut off after a member, or starting at the comma between two elements.
fn fragment(s: &mut Scene, marker: &str) -> String {
    let kind = s.rng.pick(&[Kind::DefenderAlert, Kind::ActivityAdministrative, Kind::EntraSignin]);
    // The marker goes first, so that every cut keeps it.
    let record = kinds::record(s, kind, marker).text();
    let record = format!("{{\"relayId\":\"{marker}\",{}", record.get(1..).unwrap_or_default());
    if s.rng.percent(30) {
        return format!(",{record}");
    }
    let end = record.len() / 4 + s.rng.below(record.len() / 2);
    let start = format!("{{\"relayId\":\"{marker}\",").len();
    let cut = record.as_bytes().iter().take(end).rposition(|byte| *byte == b',').unwrap_or(start).max(start);
    // Behind a comma inside a text, the text is what has no end; behind one between members, the object is.
    let piece = String::from_utf8_lossy(record.as_bytes().get(..cut).unwrap_or_default()).into_owned();
    if s.rng.percent(40) { format!("{{\"records\":[{piece}") } else { piece }
}

/// Bytes that are no UTF-8: a compressed or otherwise foreign payload with the marker in clear.
fn binary(s: &mut Scene, marker: &str) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 0x08, 0x00, 0xff, 0xfe];
    bytes.extend_from_slice(marker.as_bytes());
    for _ in 0..20 + s.rng.below(40) {
        bytes.extend_from_slice(&(s.rng.next() | 0x80).to_be_bytes());
    }
    bytes
}

/// A record that is refused by itself; those beside it are not touched.
pub(crate) fn record(s: &mut Scene, marker: &str) -> (Json, Reason) {
    match s.rng.below(64) {
        0..=20 => (metric(s, marker), Reason::NotALog),
        21..=26 => (list![42, true, Json::Null].pick_text(marker), Reason::NotALog),
        27..=33 => (foreign_category(s, marker), Reason::UnknownKind),
        34..=41 => (foreign(s, marker), Reason::UnknownKind),
        42..=62 => (nameless(s, marker), Reason::MissingRequired),
        _ => (too_large(s, marker), Reason::TooLarge),
    }
}

/// A platform metric: it comes through the same diagnostic settings.
fn metric(s: &mut Scene, marker: &str) -> Json {
    let resource = s.resource_named("Microsoft.Storage/storageAccounts", format!("st-{marker}"));
    let at = s.moment();
    object! {
        "count" => 4, "total" => 9.5, "minimum" => 1, "maximum" => 4.5, "average" => 2.375, "resourceId" => &resource.id,
        "time" => s.iso(at), "metricName" => s.rng.pick(&["Transactions", "Percentage CPU", "Ingress"]), "timeGrain" => "PT1M",
    }
}

/// A category that no mapping of any deployment knows.
fn foreign_category(s: &mut Scene, marker: &str) -> Json {
    let at = s.moment();
    object! {
        "time" => s.iso(at), "category" => "ContosoTillJournal", "operationName" => "Sale", "correlationId" => marker,
        "properties" => object! { "till" => 7, "amount" => "12.50" },
    }
}

/// Something else that someone sends to the hub.
fn foreign(s: &mut Scene, marker: &str) -> Json {
    let at = s.moment();
    match s.rng.below(3) {
        0 => object! { "app" => "contoso-shop", "event" => "order.placed", "id" => marker, "at" => s.iso(at) },
        1 => object! {
            "type" => "Microsoft.Security/examplePreviewFindings", "name" => marker,
            "properties" => object! { "displayName" => "A kind that does not exist yet, and of no resource" },
        },
        _ => object! { "Type" => "Contoso.Example/thing", "uid" => marker },
    }
}

/// A finding without anything that names it.
fn nameless(s: &mut Scene, marker: &str) -> Json {
    let kind = s.rng.pick(&[Kind::DefenderAlert, Kind::DefenderAssessment, Kind::SecureScore]);
    let mut record = kinds::record(s, kind, marker);
    for name in ["id", "name", "SystemAlertId"] {
        record.remove(name);
    }
    if let Some(properties) = record.get_mut("properties") {
        properties.remove("systemAlertId");
    }
    // The flat form is an alert only while the name holds something.
    if kind == Kind::DefenderAlert {
        let empty = s.rng.pick(&[object! {}, list![""], list![list![]]]);
        if record.get_mut("type").is_none() {
            record.push("SystemAlertId", empty);
        }
    }
    record.push("relayId", marker);
    record
}

/// A description that no column of the lake can take.
fn too_large(s: &mut Scene, marker: &str) -> Json {
    let mut record = kinds::record(s, Kind::DefenderAssessment, marker);
    record.push("note", s.prose(460 * 1024));
    record
}

impl Json {
    /// A bare text around a marker, in place of a record.
    fn pick_text(self, marker: &str) -> Self {
        Self::from(format!("{} {marker}", self.text()))
    }
}
