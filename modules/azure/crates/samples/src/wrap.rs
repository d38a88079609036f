//! Records into events: how many go together, and what is put around them.

use tributary_mapping::Reason;

use crate::json::{Json, list, object};
use crate::kind::{Mix, Subject, Way};
use crate::scene::Scene;
use crate::{Expected, Kind, Markers, Sample, hostile, kinds, malformed};

/// One event of what `mix` holds.
pub(crate) fn event(s: &mut Scene, markers: &mut Markers, mix: &Mix, malformed: bool) -> Sample {
    let subject = s.rng.weighted(&mix.all).unwrap_or(Subject::Kind(Kind::DefenderAlert));
    let (body, records) = match malformed.then(|| s.rng.below(100)) {
        Some(0..=39) => {
            let marker = markers.next();
            let (body, reason) = malformed::body(s, &marker);
            (body, vec![Expected::Quarantined { reason, marker }])
        }
        Some(40..=69) => {
            let mut built = records(s, markers, subject, mix);
            let marker = markers.next();
            let (bad, reason) = malformed::record(s, &marker);
            let at = s.rng.below(built.len() + 1);
            built.insert(at, (bad, Expected::Quarantined { reason, marker }));
            wrapped(s, subject.way(), built)
        }
        Some(_) => {
            let mut built = records(s, markers, subject, mix);
            for (record, expected) in &mut built {
                // What a rule takes is known by more than its kind of event.
                if let Expected::Mapped { kind, marker } = expected {
                    hostile::spoil(s, record, *kind, marker);
                }
            }
            wrapped(s, subject.way(), built)
        }
        None => {
            let built = records(s, markers, subject, mix);
            wrapped(s, subject.way(), built)
        }
    };
    let properties = s
        .rng
        .maybe(8, vec![("relay".to_owned(), "contoso-forwarder/2".to_owned()), ("attempt".to_owned(), "1".to_owned())]);
    Sample {
        body,
        partition_key: if s.rng.percent(6) { Some(s.subscription().0.to_owned()) } else { None },
        properties: properties.unwrap_or_default(),
        records,
    }
}

type Built = Vec<(Json, Expected)>;

/// As many records as such an event holds, the first of which is about `subject`.
fn records(s: &mut Scene, markers: &mut Markers, subject: Subject, mix: &Mix) -> Built {
    let (count, others, mixed) = match subject.way() {
        // Relays put several into one event.
        Way::Export if s.rng.percent(95) => (1, None, 0),
        Way::Export => (2 + s.rng.below(3), None, 0),
        Way::Grid if s.rng.percent(85) => (1, None, 0),
        Way::Grid => (2 + s.rng.below(3), Some(&mix.grid), 50),
        Way::Diagnostic => (s.rng.pick(&[1, 1, 1, 2, 2, 3, 4, 6, 9]), Some(&mix.diagnostic), 30),
    };
    if subject == Subject::Kind(Kind::ActivityAdministrative) && s.rng.percent(60) {
        let steps: Vec<String> = (0..s.rng.pick(&[1, 2, 2, 3])).map(|_| markers.next()).collect();
        let records = kinds::operation(s, &steps).into_iter();
        let expected = |marker| Expected::Mapped { kind: Kind::ActivityAdministrative, marker };
        return records.zip(steps.into_iter().map(expected)).collect();
    }
    let mut built = Built::new();
    for position in 0..count {
        let other = others.filter(|_| position > 0 && s.rng.percent(mixed)).and_then(|others| s.rng.weighted(others));
        built.push(other.unwrap_or(subject).record(s, markers.next()));
    }
    built
}

/// The body around records, and what must become of them.
fn wrapped(s: &mut Scene, way: Way, built: Built) -> (Vec<u8>, Vec<Expected>) {
    let (values, mut expected): (Vec<Json>, Vec<Expected>) = built.into_iter().unzip();
    // A bare text or number is a record only inside something, and lines must start with one that parses.
    let lines = values.iter().all(|value| matches!(value, Json::Object(_)));
    let alone = values.len() == 1 && lines;
    let usual = if way == Way::Diagnostic { 70 } else { 85 };
    let wrapper = if s.rng.percent(usual) { 0 } else { 1 + s.rng.below(6) };
    let bare = match way {
        Way::Export => alone,
        Way::Grid => alone && s.rng.percent(25),
        Way::Diagnostic => false,
    };
    let whole = |values: Vec<Json>| match way {
        _ if bare => values.into_iter().next().unwrap_or(Json::Null),
        Way::Grid => Json::List(values),
        _ => object! { "records" => values },
    };
    let text = match wrapper {
        1 if alone => values.into_iter().next().unwrap_or(Json::Null).text(),
        1 => Json::List(values).text(),
        2 => object! { "records" => values }.text(),
        3 if lines => {
            let mut lines: Vec<String> = values.iter().map(Json::text).collect();
            // The last line may be cut off where a block ended.
            if lines.len() > 1
                && s.rng.percent(5)
                && cut(&mut lines, &expected)
                && let Some(last) = expected.last_mut()
            {
                *last = Expected::Quarantined { reason: Reason::Fragment, marker: last.marker().to_owned() };
            }
            lines.join(s.rng.pick(&["\n", "\r\n", "\n\n"])) + s.rng.pick(&["", "\n"])
        }
        // A trigger's array of arrays, and a wrapper inside a wrapper.
        4 => list![list![object! { "Records" => values }]].text(),
        5 => object! { "records" => list![object! { "records" => values }], "region" => "westeurope" }.text(),
        // A relay that encoded the document twice.
        6 => Json::from(whole(values).text()).text(),
        _ => whole(values).text(),
    };
    (text.into_bytes(), expected)
}

/// Cuts the last line after its marker, if that can be done between two members.
fn cut(lines: &mut [String], expected: &[Expected]) -> bool {
    let (Some(line), Some(marker)) = (lines.last_mut(), expected.last().map(Expected::marker)) else { return false };
    let Some(after) = line.find(marker).map(|at| at + marker.len()) else { return false };
    match line.get(after..).and_then(|rest| rest.find("\",\"")) {
        Some(at) => {
            line.truncate(after + at + 2);
            true
        }
        None => false,
    }
}
