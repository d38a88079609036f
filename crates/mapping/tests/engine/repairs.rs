//! Broken JSON of the wild: repaired where the repair is certain and then marked, else refused whole.

use crate::{ALERT, compile, fates};

const MODULE: (&str, &str) = ("module.yaml", "wrappers: [records]\n");

fn said(body: &str) -> Vec<String> {
    fates(&compile(&[MODULE, ALERT]), body)
}

#[test]
fn control_characters_are_escaped_and_the_event_says_so() {
    let body = "{\"kind\":\"alert\",\"id\":\"1\",\"at\":\"2026-01-01T00:00:00Z\",\"note\":\"two\nlines\"}\u{0}\u{1e}";
    assert_eq!(said(body), [r#"alert - {"note":"two\nlines","tributary.repaired":"control characters"}"#]);
}

#[test]
fn doubled_braces_are_one() {
    let body = r#"{{"records":[{{"kind":"alert","id":"1","at":"2026-01-01T00:00:00Z"}}]}}"#;
    assert_eq!(said(body), [r#"alert - {"tributary.repaired":"doubled braces"}"#]);
}

#[test]
fn text_after_a_document_is_kept_beside_its_records() {
    let body = r#"{"records":[{"kind":"alert","id":"1","at":"2026-01-01T00:00:00Z"},{"kind":"alert","id":"2","at":"2026-01-01T00:00:00Z"}]} trailing, "text"#;
    let unmapped = r#"alert - {"tributary.repaired":"trailing text","tributary.trailing_text":"trailing, \"text"}"#;
    assert_eq!(said(body), [unmapped, unmapped]);
}

#[test]
fn documents_joined_without_a_line_end_are_documents() {
    let one = |id: u8| format!(r#"{{"kind":"alert","id":"{id}","at":"2026-01-01T00:00:00Z"}}"#);
    let unmapped = r#"alert - {"tributary.repaired":"joined documents"}"#;
    assert_eq!(said(&format!("{}{} {}", one(1), one(2), one(3))), [unmapped; 3]);
    // A piece of one at the end is refused alone.
    let torn = said(&format!("{}{}", one(1), r#"{"kind":"al"#));
    assert_eq!(
        torn,
        [unmapped.to_owned(), r#"fragment: unexpected end of the text at byte 11: {"kind":"al"#.to_owned()]
    );
}

#[test]
fn a_line_that_is_broken_is_repaired_or_refused_alone() {
    let body = "{\"kind\":\"alert\",\"id\":\"1\",\"at\":\"2026-01-01T00:00:00Z\"}\n{\"kind\":\"alert\",\"id\":\"2\u{1}\",\"at\":\"2026-01-01T00:00:00Z\"}\n{\"kind\":alert}\n";
    let said = said(body);
    assert_eq!(said[0], "alert - null");
    assert_eq!(said[1], r#"alert - {"tributary.repaired":"control characters"}"#);
    assert_eq!(said[2], "not-json: not json at byte 8: {\"kind\":alert}");
}

#[test]
fn what_is_not_certain_is_refused_as_it_came() {
    for body in [
        "{kind: 'alert'}",
        "{\"kind\":\"alert\",}",
        "{{\"kind\":\"alert\"}",
        "{\"kind\":\"al\"ert\"}",
        "{\"kind\":\"alert\" \u{1} 'x'}",
    ] {
        let said = said(body);
        assert!(said.len() == 1 && said[0].starts_with("not-json: ") && said[0].ends_with(body), "{said:?}");
    }
}

#[test]
fn a_hostile_row_of_documents_costs_one_refusal() {
    let said = said(&"{{}}".repeat(100_000));
    assert!(said.len() <= 100_000 * 4 / 32 + 2, "{}", said.len());
    assert!(said.last().unwrap().starts_with("too-large: "), "{}", said.last().unwrap().len());
}
