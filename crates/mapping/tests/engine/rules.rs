//! `module.yaml`, the general kind, and kinds whose findings stay out of Security Hub.

use crate::{ALERT, compile, fates};

const MODULE: (&str, &str) = (
    "module.yaml",
    "\
wrappers: [records]
refuse:
  - { reason: not-a-log, detail: a measurement, match: [{ metric: present }] }
skip:
  - rule: handshake
    match: [{ kind: hello }]
route:
  - rule: blobs
    match: [{ kind: created, data.url: \"*/flow-logs/*\" }]
    message: { id: .id, url: .data.url, at: [.at, .time], size: .data.size }
",
);

const GENERAL: (&str, &str) = (
    "general.yaml",
    "\
kind: general
class: api_activity
match: [{ kind: present }, { source: present }]
fallback: [.category, .kind]
security_hub: false
map:
  activity_id: Other
  activity_name: .category
  severity_id: Informational
  time: .at
  metadata: { product: { name: Example, vendor_name: Example } }
  actor: { user: { name: unknown } }
  api: { operation: .category // \"unknown\" }
  src_endpoint: { svc_name: Example }
  cloud: { provider: Example }
",
);

#[test]
fn a_handshake_is_skipped_and_counted_in_its_place() {
    let set = compile(&[MODULE, ALERT]);
    let said = fates(&set, r#"[{"kind":"alert","id":"1"},{"kind":"Hello"},{"kind":"alert","id":"2"}]"#);
    assert_eq!(said[1], "handshake 1");
    assert!(said[0].starts_with("alert - ") && said[2].starts_with("alert - "), "{said:?}");
}

#[test]
fn a_notification_becomes_a_message_with_the_values_that_it_has() {
    let set = compile(&[MODULE, ALERT]);
    let record = r#"{"kind":"created","id":"7","time":"t","data":{"url":"https://example/FLOW-logs/x?\"","size":3}}"#;
    assert_eq!(
        fates(&set, record),
        [r#"blobs 0: {"id":"7","url":"https://example/FLOW-logs/x?\"","at":"t","size":3}"#]
    );
    // Another container's is no notification of ours.
    let other = fates(&set, r#"{"kind":"created","data":{"url":"https://example/other/x"}}"#);
    assert!(other[0].starts_with("unknown-kind: no mapping for kind \"created\""), "{other:?}");
    // Nor is one whose url is longer than any.
    let long = record.replace("https", &"h".repeat(20_000));
    assert!(fates(&set, &long)[0].starts_with("unknown-kind"));
}

#[test]
fn the_general_kind_takes_what_no_other_claims_and_names_it() {
    let set = compile(&[MODULE, ALERT, GENERAL]);
    let body = r#"[{"kind":"alert","id":"1"},{"source":"s","category":"Till"},{"kind":"Odd"},{"source":"s"},
        {"metric":1,"source":"s"},{"other":1}]"#;
    let said = fates(&set, body);
    assert!(said[0].starts_with("alert - "), "{said:?}");
    assert_eq!(
        said[1],
        r#"general Till {"source":"s","tributary.general":"Till","tributary.time_source":"hub enqueued time"}"#
    );
    assert!(said[2].starts_with("general Odd "), "{said:?}");
    assert!(said[3].starts_with("general unnamed "), "{said:?}");
    assert!(said[4].starts_with("not-a-log: a measurement: "), "{said:?}");
    assert!(said[5].starts_with("unknown-kind: "), "{said:?}");
    let long = format!(r#"{{"source":"s","category":"{}"}}"#, "é".repeat(500));
    let category: String = fates(&set, &long)[0].chars().skip_while(|c| *c != 'é').take_while(|c| *c == 'é').collect();
    assert_eq!(category.chars().count(), 64);
}

#[test]
fn kinds_say_whether_their_findings_go_to_security_hub() {
    let set = compile(&[ALERT, GENERAL]);
    let of = |name: &str| set.kinds().iter().find(|kind| kind.name == name).unwrap();
    assert!(of("alert").security_hub && !of("alert").is_general());
    assert!(!of("general").security_hub && of("general").is_general());
}
