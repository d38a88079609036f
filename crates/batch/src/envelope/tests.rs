#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Batch, Body, Event, Offset, SequenceNumber, SourceRef};

fn event(number: i64, body: Body) -> Event {
    Event {
        sequence_number: SequenceNumber(number),
        offset: Offset::new(format!("{}", number * 512)),
        enqueued_time: 1_767_225_600_000 + number,
        partition_key: None,
        properties: vec![("b".into(), "2".into()), ("a".into(), "\u{1}\"\\".into())],
        body,
    }
}

fn batch(bodies: Vec<Body>) -> Batch {
    let events: Vec<Event> = (7..).zip(bodies).map(|(number, body)| event(number, body)).collect();
    Batch {
        module: "example".into(),
        source: SourceRef {
            namespace: "ns.example".into(),
            hub: "hub".into(),
            consumer_group: "tributary".into(),
            partition: "3".into(),
            incarnation: 1_767_225_600_000,
        },
        first: SequenceNumber(7),
        last: SequenceNumber(6 + events.len().max(1) as i64),
        events,
    }
}

fn text(text: impl Into<String>) -> Body {
    Body::Text(text.into())
}

/// There and back, by whichever way it takes.
fn round(batch: &Batch) -> Batch {
    match encode(batch).unwrap() {
        Encoded::Inline(message) => match decode(&message, "m").unwrap() {
            Decoded::Batch(batch) => batch,
            other => panic!("{other:?}"),
        },
        Encoded::Claim { key, bytes, message } => match decode(&message, "m").unwrap() {
            Decoded::Claim(claim) => {
                assert_eq!(claim.key(), key);
                claim.open(&bytes).unwrap()
            }
            other => panic!("{other:?}"),
        },
    }
}

fn noise(bytes: usize) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(35 + u8::try_from((state >> 33) % 56).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn the_form_is_that_of_the_contract() {
    let mut batch = batch(vec![text(r#"{"a":1.50,"a":2}"#)]);
    batch.events[0].properties.clear();
    let Encoded::Inline(message) = encode(&batch).unwrap() else { panic!("a claim") };
    assert_eq!(
        message,
        concat!(
            r#"{"schema":"tributary.batch/1","module":"example","source":{"namespace":"ns.example","hub":"hub","#,
            r#""consumerGroup":"tributary","partition":"3","incarnation":1767225600000},"first":7,"last":7,"count":1,"#,
            r#""encoding":"identity","events":[{"sequenceNumber":7,"offset":"3584","enqueuedTime":1767225600007,"#,
            r#""partitionKey":null,"properties":{},"body":{"a":1.50,"a":2}}]}"#
        )
    );
}

#[test]
fn an_event_alone_is_written_as_in_the_list() {
    let batch = batch(vec![text("{\n\"a\":1}"), text("\u{1}\n"), Body::Binary(vec![0xff])]);
    let Encoded::Inline(message) = encode(&batch).unwrap() else { panic!("a claim") };
    let events: Vec<String> = batch.events.iter().map(|event| event_json(event).unwrap()).collect();
    assert!(message.ends_with(&format!("\"events\":[{}]}}", events.join(","))));
}

#[test]
fn every_body_comes_out_as_it_went_in() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: Vec<Body> = [
        r#"{"a":1}"#,
        "[1, 2]",
        "1e400",
        "123456789012345678901234567890",
        "true",
        "null",
        "\"a string\"",
        "",
        " {\"a\":1}",
        "{\"a\":1}\n",
        "{\n\"a\":\r\n1}",
        r#"{"base64":"AA=="}"#,
        r#"{"b\u0061se64":"AA=="}"#,
        r#"{"base64":"AA==","a":1}"#,
        "{ \n\"base64\" : 1}",
        r#"{"a":"\ud800"}"#,
        "{\"a\":",
        "no json",
        "\u{0}",
        "\u{fffe}\u{ffff}",
        "{\"a\":\"\u{ffff}\"}",
        "{\"records\":[{}]}\n{\"x\":1}",
        "\u{feff}{}",
        &deep,
    ]
    .into_iter()
    .map(text)
    .chain([Body::Binary(vec![0xff, 0, 1]), Body::Binary(vec![0xc3])])
    .collect();
    // All at once (compressed), and each alone (as it is, where that may be).
    assert_eq!(round(&batch(bodies.clone())), batch(bodies.clone()));
    for body in bodies {
        let one = batch(vec![body]);
        assert_eq!(round(&one), one);
    }
}

#[test]
fn a_message_holds_no_character_that_a_queue_refuses() {
    for body in ["\u{0}\u{1b}", "{\"a\":\"\u{ffff}\"}", "\u{fffe}"] {
        let Encoded::Inline(message) = encode(&batch(vec![text(body)])).unwrap() else { panic!("a claim") };
        let refused = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
        assert!(!message.contains(refused), "{body:?}");
    }
}

#[test]
fn what_does_not_fit_a_message_is_a_claim() {
    let large = batch(vec![text(noise(2_000_000)), text("{}")]);
    let Encoded::Claim { key, bytes, message } = encode(&large).unwrap() else { panic!("inline") };
    assert!(key.starts_with(&format!("claims/{}-", large.id())) && message.len() < 1_000);
    assert_eq!(round(&large), large);
    let Decoded::Claim(claim) = decode(&message, "m").unwrap() else { panic!("no claim") };
    let mut other = bytes;
    other[100] ^= 1;
    assert!(claim.open(&other).unwrap_err().to_string().contains("digest"));
    let digest = &key[key.len() - 64..];
    for wrong in [
        "",
        "staged/x",
        digest,
        &format!("claims/{digest}"),
        &key.replace("claims/", "claims/../"),
        &key[..key.len() - 1],
    ] {
        let forged = message.replace(&key, wrong);
        assert!(decode(&forged, "m").unwrap_err().to_string().contains("key of its claim"), "{wrong}");
    }
}

#[test]
fn a_claim_is_bound_to_its_batch() {
    let large = batch(vec![text(noise(2_000_000))]);
    let mut later = large.clone();
    later.last = SequenceNumber(8);
    let (Encoded::Claim { key, bytes, message }, Encoded::Claim { key: other, .. }) =
        (encode(&large).unwrap(), encode(&later).unwrap())
    else {
        panic!("inline")
    };
    assert_ne!(key, other);
    assert!(decode(&message.replace(&key, &other), "m").is_err(), "the claim of another batch");
    // Bytes with the right digest that hold other events than the header says.
    let header =
        message.replace("\"count\":1", "\"count\":2").replace("\"last\":7", "\"last\":8").replace(&key, &other);
    let Decoded::Claim(claim) = decode(&header, "m").unwrap() else { panic!("no claim") };
    assert!(claim.open(&bytes).unwrap_err().to_string().contains("fewer events"));
}

#[test]
fn a_partly_trimmed_range_keeps_its_boundaries() {
    let mut trimmed = batch(vec![text("{}"), text("{}"), text("{}")]);
    trimmed.first = SequenceNumber(1);
    trimmed.last = SequenceNumber(20);
    assert_eq!(round(&trimmed), trimmed);
    trimmed.events.clear();
    assert_eq!(round(&trimmed), trimmed);
}

#[test]
fn a_batch_that_could_not_be_read_back_is_not_sent() {
    let good = batch(vec![text("{}"), text("{}"), text("{}")]);
    let broken: [fn(&mut Batch); 5] = [
        |batch| batch.events.swap(0, 1),
        |batch| batch.events[1].sequence_number = SequenceNumber(7),
        |batch| batch.first = SequenceNumber(8),
        |batch| batch.last = SequenceNumber(8),
        |batch| batch.last = SequenceNumber(6),
    ];
    for make in broken {
        let mut batch = good.clone();
        make(&mut batch);
        assert!(matches!(encode(&batch), Err(EnvelopeError::Invalid(_))), "{batch:?}");
    }
    let mut widest = good;
    (widest.first, widest.last) = (SequenceNumber(i64::MIN), SequenceNumber(i64::MAX));
    assert_eq!(round(&widest), widest);
}

// What a hub and the packer let through can be written, even if every byte of it takes six.
const _: () = assert!(MAX_EVENTS_BYTES > 6 * crate::MAX_BATCH_BYTES + crate::MAX_BATCH_EVENTS * 256);
const _: () = assert!(MAX_SINGLE_EVENT_BYTES > 6 * 20 * 1024 * 1024 + 256);

#[test]
fn what_other_writers_add_or_spell_otherwise_is_read() {
    let Encoded::Inline(message) = encode(&batch(vec![text("{\"a\":1}")])).unwrap() else { panic!("a claim") };
    let Decoded::Batch(expected) = decode(&message, "m").unwrap() else { panic!("no batch") };
    for (from, to) in [
        ("{\"schema\"", " {\"later\":{\"schema\":[1]},\"schema\""),
        ("\"count\":1", "\"count\" : 1 , \"x\":null"),
        ("{\"sequenceNumber\"", "{\"y\":[],\"sequenceNumber\""),
        ("\"identity\"", "\"ident\\u0069ty\""),
    ] {
        let other = message.replacen(from, to, 1);
        assert_ne!(other, message);
        assert_eq!(decode(&other, "m"), Ok(Decoded::Batch(expected.clone())), "{other}");
    }
    // Resembles bytes and is none: a document, as it stands.
    for body in [r#"{"base64":5}"#, r#"{"base64":"AA==","a":1}"#] {
        let other = message.replacen("{\"a\":1}", body, 1);
        let Decoded::Batch(read) = decode(&other, "m").unwrap() else { panic!("no batch") };
        assert_eq!(read.events[0].body, text(body));
    }
    assert!(decode(&message.replacen("{\"a\":1}", r#"{"base64":"A"}"#, 1), "m").is_err());
}

#[test]
fn a_cut_envelope_is_damaged_and_not_foreign() {
    let Encoded::Inline(message) = encode(&batch(vec![text("{\"a\":1}")])).unwrap() else { panic!("a claim") };
    let named = message.find("\"module\"").unwrap();
    for end in (named..message.len()).filter(|end| message.is_char_boundary(*end)) {
        assert!(matches!(decode(&message[..end], "m"), Err(EnvelopeError::Damaged(_))), "{}", &message[..end]);
    }
}

#[test]
fn names_with_any_character_travel() {
    let mut odd = batch(vec![text("{}")]);
    odd.module = "\u{fffe}\u{0}\"\\".into();
    odd.source.hub = "\u{ffff}".into();
    assert_eq!(round(&odd), odd);
    assert!(!encode(&odd).unwrap().message().contains(['\u{fffe}', '\u{ffff}', '\0']));
}

#[test]
fn a_damaged_envelope_is_an_error_that_shows_nothing_of_it() {
    let Encoded::Inline(message) = encode(&batch(vec![text("{\"a\":1}"), text("{\"secret\":1}")])).unwrap() else {
        panic!("a claim")
    };
    for (from, to) in [
        ("\"count\":2", "\"count\":3"),
        ("\"first\":7", "\"first\":8"),
        ("\"last\":8", "\"last\":7"),
        ("\"sequenceNumber\":8", "\"sequenceNumber\":7"),
        ("identity", "gzip"),
        ("identity", "zstd+base64"),
        ("\"hub\":\"hub\"", "\"hub\":5"),
        ("tributary.batch/1", "tributary.batch/2"),
    ] {
        let damaged = message.replacen(from, to, 1);
        assert_ne!(damaged, message);
        let error = decode(&damaged, "m").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(matches!(decode(&" ".repeat(MAX_MESSAGE_BYTES + 1), "m"), Err(EnvelopeError::TooLarge { .. })));
}

#[test]
fn a_small_message_that_unpacks_to_everything_is_refused() {
    let bomb = zstd::bulk::compress(&vec![b' '; MAX_EVENTS_BYTES + 10], 1).unwrap();
    let list = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bomb);
    let Encoded::Inline(message) = encode(&batch(vec![text("{}"), text("{}")])).unwrap() else { panic!("a claim") };
    let from = message.find("\"encoding\"").unwrap();
    let message = format!("{}\"encoding\":\"zstd+base64\",\"events\":\"{list}\"}}", &message[..from]);
    assert!(matches!(decode(&message, "m"), Err(EnvelopeError::TooLarge { .. })));
}

#[test]
fn foreign_input_is_named_by_its_content() {
    for (message, body, time) in [
        (r#"{"a":1}"#, r#"{"a":1}"#, None),
        (r#"[{"a":1}]"#, r#"[{"a":1}]"#, None),
        ("{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}", None),
        ("not json", "not json", None),
        (r#"{"schema":"other/1"}"#, r#"{"schema":"other/1"}"#, None),
        (
            r#"{"event_data":{"b":1.0},"event_metadata":{"enqueued_time":"2026-01-01T00:00:00Z"}}"#,
            r#"{"b":1.0}"#,
            Some("2026-01-01T00:00:00Z"),
        ),
        (r#"{"event_data":1,"other":2}"#, r#"{"event_data":1,"other":2}"#, None),
        (r#"{"event_data":"text","event_metadata":null,"processing_metadata":{}}"#, "text", None),
    ] {
        let Decoded::Foreign(foreign) = decode(message, "m-1").unwrap() else { panic!("{message}") };
        assert_eq!((foreign.event.body.as_str(), foreign.event.enqueued_time.as_deref()), (body, time));
        assert_eq!((foreign.id, foreign.message_id.as_str()), (crate::BatchId::for_content(message.as_bytes()), "m-1"));
    }
}

fn any_body() -> impl Strategy<Value = Body> {
    let json = prop_oneof![
        "[ \\t\\n]?[{\\[\"a-c0-9:,.eE+\\-}\\] \\\\]{0,40}",
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::json!({ text.as_str(): [text] }).to_string()),
        any::<String>().prop_map(|text| serde_json::json!({ "base64": text }).to_string()),
    ];
    prop_oneof![json.prop_map(Body::Text), any::<Vec<u8>>().prop_map(Body::from_bytes)]
}

proptest! {
    // Each case is dozens of bodies.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn there_and_back_changes_nothing(bodies in prop::collection::vec(any_body(), 0..8), key in any::<Option<String>>(),
                                      properties in any::<Vec<(String, String)>>(), offset in any::<String>()) {
        let mut batch = batch(bodies);
        if let Some(event) = batch.events.first_mut() {
            event.partition_key = key;
            event.properties = properties;
            event.offset = Offset::new(offset);
        }
        prop_assert_eq!(round(&batch), batch);
    }

    #[test]
    fn a_changed_message_never_panics(at in any::<prop::sample::Index>(), with in any::<char>(), cut in any::<bool>(),
                                      bodies in prop::collection::vec(any_body(), 0..120)) {
        let encoded = encode(&batch(bodies)).unwrap();
        let mut chars: Vec<char> = encoded.message().chars().collect();
        let at = at.index(chars.len());
        if cut { chars.truncate(at) } else { chars[at] = with }
        let _ = decode(&chars.into_iter().collect::<String>(), "m");
    }

    #[test]
    fn reading_is_total(message in "(\\{\"schema\":\"tributary.batch/1\",)?[{}\\[\\]\":,a-z0-9]{0,60}") {
        let _ = decode(&message, "m");
    }
}
