//! Whatever an event holds: the forms keep every limit, are the same each time, and never fail.

use bumpalo::Bump;
use proptest::prelude::*;
use tributary_mapping::{asff, cloudtrail};
use tributary_ocsf::{AttrIx, Object, Schema, ShapeKind, Value, Version};

use crate::typed::{Random, any_event};
use crate::{destination, limits};

/// Both forms of an event, and everything wrong with them.
fn judge(schema: &Schema, event: &Object<'_>) -> (Option<String>, Vec<String>) {
    let trail = cloudtrail::audit_event(schema, event, &destination());
    let mut wrong = limits::audit_event(trail.id(), trail.event_data());
    assert_eq!(cloudtrail::audit_event(schema, event, &destination()), trail);
    let finding = asff::finding(schema, event, &destination());
    assert_eq!(asff::finding(schema, event, &destination()), finding);
    let finding = finding.map(asff::Finding::into_json);
    wrong.extend(finding.as_deref().map(limits::finding).unwrap_or_default());
    (finding, wrong)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_finding_keeps_the_limits(seed in (1_u64..).no_shrink(), class in 0_usize..3, new: bool) {
        let schema = Schema::get(Version::ALL[usize::from(new)]);
        let (class, _) = schema.class_by_uid([2002, 2003, 2004][class]).unwrap();
        let arena = Bump::new();
        let event = any_event(schema, class, &mut Random(seed), &arena);
        let (finding, wrong) = judge(schema, &event);
        prop_assert!(finding.is_some());
        prop_assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn any_class_keeps_the_limits() {
    for schema in Version::ALL.map(Schema::get) {
        for (number, shape) in schema.shapes.iter().enumerate() {
            let Some(uid) = shape.uid.filter(|_| shape.kind == ShapeKind::Class) else { continue };
            let (id, _) = schema.class_by_uid(uid).unwrap();
            let arena = Bump::new();
            let event = any_event(schema, id, &mut Random(u64::try_from(number).unwrap() + 7), &arena);
            let (finding, wrong) = judge(schema, &event);
            assert_eq!(finding.is_some(), (2002..=2004).contains(&uid), "{}", shape.name);
            assert!(wrong.is_empty(), "{}: {wrong:?}", shape.name);
        }
    }
}

/// A class's event with these attributes.
fn event<'b>(schema: &Schema, class: &str, fields: &[(&str, Value<'b>)], arena: &'b Bump) -> Object<'b> {
    let (id, shape) = schema.class_named(class).unwrap();
    object(id, shape, fields, arena)
}

fn object<'b>(
    id: tributary_ocsf::ShapeId,
    shape: &tributary_ocsf::Shape,
    fields: &[(&str, Value<'b>)],
    arena: &'b Bump,
) -> Object<'b> {
    let mut fields: Vec<(AttrIx, Value<'b>)> =
        fields.iter().map(|(name, value)| (shape.attr_named(name).unwrap().0, *value)).collect();
    fields.sort_by_key(|(index, _)| *index);
    Object { shape: id, fields: arena.alloc_slice_copy(&fields) }
}

/// A finding with this text everywhere that matters, on `count` resources.
fn loud<'b>(schema: &Schema, text: &'b str, count: usize, arena: &'b Bump) -> Object<'b> {
    let named = |name: &str, fields: &[(&str, Value<'b>)]| {
        let (id, shape) = schema.object_named(name).unwrap();
        Value::Object(arena.alloc(object(id, shape, fields, arena)))
    };
    let text = Value::Str(text);
    let resource = named("resource_details", &[("uid", text), ("name", text), ("type", text), ("owner", text)][..3]);
    let resources = Value::Array(arena.alloc_slice_fill_copy(count, resource));
    let info = [("uid", text), ("title", text), ("desc", text), ("src_url", text), ("types", text)];
    let entries: Vec<(&str, &str)> = (0..count)
        .map(|number| {
            (&*arena.alloc_str(&format!("path{number:06}")), if let Value::Str(text) = text { text } else { "" })
        })
        .collect();
    let unmapped = Value::Map(arena.alloc_slice_copy(&entries));
    let fields = [
        ("time", Value::Int(0)),
        ("finding_info", named("finding_info", &info)),
        ("resources", resources),
        ("unmapped", unmapped),
    ];
    event(schema, "detection_finding", &fields, arena)
}

#[test]
fn megabytes_and_thousands_are_taken() {
    let schema = Schema::get(Version::V1_3_0);
    for piece in ["x", "\u{1}", "😀", " "] {
        for (length, count) in [(10_000_000 / piece.len(), 1), (4_000, 2_000), (0, 5_000)] {
            let (arena, text) = (Bump::new(), piece.repeat(length));
            let (finding, wrong) = judge(schema, &loud(schema, &text, count, &arena));
            assert!(wrong.is_empty(), "{piece:?} {length} {count}: {wrong:?}");
            let finding: serde_json::Value = serde_json::from_str(&finding.unwrap()).unwrap();
            // A text of control characters shows nothing, and names no resource.
            if count > 100 && length > 0 && ["x", "😀"].contains(&piece) {
                let said = finding["ProductFields"]["tributary/truncated"].as_str().unwrap();
                assert!(said.contains("Resources 1968") && said.contains("ProductFields "), "{said}");
            }
        }
    }
}

#[test]
fn what_is_cut_first_is_what_matters_least() {
    let schema = Schema::get(Version::V1_3_0);
    // 32 resources with details of 18 KB each, and 49 fields of 12 KB each.
    let (arena, text) = (Bump::new(), "\u{1}a".repeat(2_000));
    let finding = asff::finding(schema, &loud(schema, &text, 2_000, &arena), &destination()).unwrap();
    let finding: serde_json::Value = serde_json::from_str(finding.json()).unwrap();
    assert_eq!(finding["Resources"].as_array().unwrap().len(), 32, "no resource is lost to the size");
    assert!(finding["Title"].as_str().unwrap().ends_with('…'));
    assert!(finding["ProductFields"].as_object().unwrap().len() > 1, "some fields are left");
}

#[test]
fn ids_that_differ_stay_different() {
    let schema = Schema::get(Version::V1_3_0);
    let id = |uid: &str| {
        let arena = Bump::new();
        let finding = asff::finding(schema, &loud(schema, uid, 1, &arena), &destination()).unwrap();
        let json: serde_json::Value = serde_json::from_str(finding.json()).unwrap();
        assert_eq!(json["Id"], finding.id());
        assert_eq!(json["Resources"][0]["Id"], finding.id(), "the same rule for resources");
        if uid.len() >= 512 {
            assert_eq!(json["ProductFields"]["ocsf/finding_info.uid"], uid, "the whole is kept");
        }
        finding.id().to_owned()
    };
    let long = "/a/resource".repeat(60);
    let (a, b) = (id(&format!("{long}a")), id(&format!("{long}b")));
    assert_ne!(a, b);
    assert!(a.len() == 512 && a.starts_with("/a/resource/a/resource"));
    assert_eq!(id("short"), "short");
}
