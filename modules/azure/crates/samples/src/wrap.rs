//! Records into events: how many go together, and what is put around them.

use tributary_mapping::Reason;

use crate::json::{Json, list, object};
use crate::scene::Scene;
use crate::{Expected, Kind, Markers, Sample, hostile, kinds, malformed};

/// One event whose first record is of `kind`; `others` are the kinds that it may be mixed with.
pub(crate) fn event(s: &mut Scene, markers: &mut Markers, kind: Kind, others: &[Kind], malformed: bool) -> Sample {
    let (body, records) = match malformed.then(|| s.rng.below(100)) {
        Some(0..=39) => {
            let marker = markers.next();
            let (body, reason) = malformed::body(s, &marker);
            (body, vec![Expected::Quarantined { reason, marker }])
        }
        Some(40..=69) => {
            let mut built = records(s, markers, kind, others);
            let marker = markers.next();
            let (bad, reason) = malformed::record(s, &marker);
            let at = s.rng.below(built.len() + 1);
            built.insert(at, (bad, Expected::Quarantined { reason, marker }));
            wrapped(s, kind, built)
        }
        Some(_) => {
            let mut built = records(s, markers, kind, others);
            for (record, expected) in &mut built {
                hostile::spoil(s, record, expected.marker());
            }
            wrapped(s, kind, built)
        }
        None => {
            let built = records(s, markers, kind, others);
            wrapped(s, kind, built)
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

/// Defender sends records one by one; diagnostic settings send several, of kinds that mix.
fn records(s: &mut Scene, markers: &mut Markers, kind: Kind, others: &[Kind]) -> Built {
    let mut built = Vec::new();
    let mut add = |record: Json, kind: Kind, marker: String| built.push((record, Expected::Mapped { kind, marker }));
    if !kind.is_diagnostic() {
        // Relays put several into one event.
        let count = if s.rng.percent(95) { 1 } else { 2 + s.rng.below(3) };
        for _ in 0..count {
            let marker = markers.next();
            add(kinds::record(s, kind, &marker), kind, marker);
        }
        return built;
    }
    let count = s.rng.pick(&[1, 1, 1, 2, 2, 3, 4, 6, 9]);
    if kind == Kind::ActivityAdministrative && s.rng.percent(60) {
        let steps: Vec<String> = (0..s.rng.pick(&[1, 2, 2, 3])).map(|_| markers.next()).collect();
        for (record, marker) in kinds::operation(s, &steps).into_iter().zip(steps) {
            add(record, kind, marker);
        }
    } else {
        for position in 0..count {
            let kind = if position > 0 && s.rng.percent(30) { s.rng.pick(others) } else { kind };
            let marker = markers.next();
            add(kinds::record(s, kind, &marker), kind, marker);
        }
    }
    built
}

/// The body around records, and what must become of them.
fn wrapped(s: &mut Scene, kind: Kind, built: Built) -> (Vec<u8>, Vec<Expected>) {
    let (values, mut expected): (Vec<Json>, Vec<Expected>) = built.into_iter().unzip();
    // A bare text or number is a record only inside something, and lines must start with one that parses.
    let lines = values.iter().all(|value| matches!(value, Json::Object(_)));
    let alone = values.len() == 1 && lines;
    let usual = if kind.is_diagnostic() { 70 } else { 85 };
    let wrapper = if s.rng.percent(usual) { 0 } else { 1 + s.rng.below(6) };
    let whole = |values: Vec<Json>| match alone && !kind.is_diagnostic() {
        true => values.into_iter().next().unwrap_or(Json::Null),
        false => object! { "records" => values },
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
