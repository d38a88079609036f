//! One fault at a time, at a random place.

use crate::node::Node;
use crate::random::Random;

/// Numbers that are too large, too small, of another kind, or written oddly.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "-1",
    "1",
    "98",
    "99",
    "1.0",
    "1e2",
    "65536",
    "2147483648",
    "-2147483649",
    "1767225600",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
];

/// Texts that no pattern, or only a generous one, lets pass.
const TEXTS: [&str; 24] = [
    "",
    " ",
    "x",
    "Other",
    "Unknown",
    "10.0.0.1:443",
    "10.0.0.01",
    "1.2.3",
    "10x0x0x1",
    "::g",
    "fe80::1%",
    "10.0.0.0/33",
    "10.0.0.0/+8",
    "::/129",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00.1234567+01:00",
    "2026-01-01 00:00:00Z",
    "a@b",
    "a b@c.d",
    "-host",
    "host_name",
    "<null>",
    "tab\there",
];

/// Whole values of another kind.
const VALUES: [&str; 10] = ["null", "true", "false", "[]", "{}", "[null]", "[[1]]", "{\"a\":null}", "\"text\"", "7"];

/// Applies one fault. Returns the event's text, since some faults are below JSON's values.
pub(crate) fn mutate(event: &mut Node, random: &mut Random) {
    match random.below(22) {
        0 | 1 => member(event, random, |members, at, _| drop(members.remove(at))),
        2 | 3 => member(event, random, |members, at, random| members[at].1 = raw(random.pick(&VALUES))),
        4 => member(event, random, |members, at, random| members[at].1 = raw(random.pick(&NUMBERS))),
        5 => member(event, random, |members, at, random| members[at].1 = Node::text(random.pick(&TEXTS))),
        6 => scalar(event, random, "0123456789", |random| raw(random.pick(&NUMBERS))),
        7 | 8 => scalar(event, random, "\"", |random| Node::text(random.pick(&TEXTS))),
        9 => member(event, random, |members, _, random| {
            let name =
                random.pick(&["nope", "uid", "name", "type_id", "value", "", "ip", "time_dt", "cloud", "status"]);
            members.push((name.to_owned(), raw(random.pick(&VALUES))));
        }),
        10 => member(event, random, |members, at, _| members.push(members[at].clone())),
        11 => named(event, random, "_id", |random| raw(random.pick(&NUMBERS))),
        12 => named(event, random, "_id", |_| raw("99")),
        13 => member(event, random, |members, at, random| {
            let name = members[at].0.trim_end_matches("_id").to_owned();
            members.push((name, Node::text(random.pick(&["Other", "Unknown", "High", "x"]))));
        }),
        14 => profiles(event, random),
        15 => member(event, random, |members, at, random| {
            let value = std::mem::replace(&mut members[at].1, raw("1"));
            members[at].1 = match value {
                Node::List(mut elements) if random.chance(50) => elements.pop().unwrap_or(raw("null")),
                Node::List(elements) => Node::List(vec![Node::List(elements)]),
                other => Node::List(vec![other]),
            };
        }),
        16 => top(event, random),
        17 => observable(event, random),
        18 => {
            let (name, value) =
                random.pick(&[("k", "1"), ("k", "null"), ("k", "{\"x\":\"y\"}"), ("a.b", "\"twice\""), ("k", "\"\"")]);
            let mut unmapped = Node::Object(vec![("a.b".to_owned(), Node::text("c"))]);
            if let Node::Object(members) = &mut unmapped {
                members.push((name.to_owned(), raw(value)));
            }
            event.set("unmapped", unmapped);
        }
        19 => scalar(event, random, "\"", |random| {
            Node::text(&"é".repeat(random.pick(&[32, 41, 64, 65, 65_535, 65_536])))
        }),
        20 => named(event, random, "time", |random| {
            raw(random.pick(&[
                "1767225600",
                "-5",
                "0",
                "99999999999",
                "100000000000",
                "99999999999999",
                "100000000000000",
            ]))
        }),
        _ => named(event, random, "_dt", |random| Node::text(random.pick(&TEXTS))),
    }
}

fn raw(text: &str) -> Node {
    Node::Raw(text.to_owned())
}

/// A fault at a random member of a random object.
fn member(event: &mut Node, random: &mut Random, fault: impl FnOnce(&mut Vec<(String, Node)>, usize, &mut Random)) {
    let mut place = random.below(event.count_objects());
    if let Some(members) = event.nth_object(&mut place)
        && !members.is_empty()
    {
        let at = random.below(members.len());
        fault(members, at, random);
    }
}

/// Another value for a random scalar whose text begins with one of `first`.
fn scalar(event: &mut Node, random: &mut Random, first: &str, value: impl FnOnce(&mut Random) -> Node) {
    replace(event, random, |_, node| matches!(node, Node::Raw(text) if text.starts_with(|c| first.contains(c))), value);
}

/// Another value for a random attribute whose name ends so.
fn named(event: &mut Node, random: &mut Random, ending: &str, value: impl FnOnce(&mut Random) -> Node) {
    replace(event, random, |name, _| name.ends_with(ending), value);
}

fn replace(
    event: &mut Node,
    random: &mut Random,
    fits: impl Fn(&str, &Node) -> bool,
    value: impl FnOnce(&mut Random) -> Node,
) {
    let objects = event.count_objects();
    for _ in 0..20 {
        let mut place = random.below(objects);
        let Some(members) = event.nth_object(&mut place) else { continue };
        let fitting: Vec<usize> = (0..members.len()).filter(|at| fits(&members[*at].0, &members[*at].1)).collect();
        if !fitting.is_empty() {
            let at = random.pick(&fitting);
            members[at].1 = value(random);
            return;
        }
    }
}

fn profiles(event: &mut Node, random: &mut Random) {
    let Some(metadata) = event.get_mut("metadata") else { return };
    let mut names = match metadata.get("profiles") {
        Some(Node::List(names)) => names.clone(),
        _ => Vec::new(),
    };
    match random.below(4) {
        0 => drop(names.pop()),
        1 => names.push(Node::text(random.pick(&["cloud", "host", "datetime", "security_control", "container"]))),
        2 => names.push(Node::text("no_such_profile")),
        _ => names.extend(names.first().cloned()),
    }
    metadata.set("profiles", Node::List(names));
}

/// Faults in what says which class and version the event is of.
fn top(event: &mut Node, random: &mut Random) {
    match random.below(7) {
        0 => event.set("type_uid", raw(random.pick(&NUMBERS))),
        1 => event.set("class_uid", raw(random.pick(&["2004", "3002", "123456", "\"2004\"", "2004.0", "true"]))),
        2 => event.set("category_uid", raw(random.pick(&["1", "2", "99"]))),
        3 => event.set("activity_id", raw(random.pick(&["0", "1", "2", "99", "77"]))),
        4 => event.set("metadata", raw(random.pick(&VALUES))),
        5 => {
            if let Some(metadata) = event.get_mut("metadata") {
                metadata.set("version", Node::text(random.pick(&["1.0.0", "1.1.0", "1.3.0", "1.3", "", "1.3.0-dev"])));
            }
        }
        _ => event.set("time", raw(random.pick(&["1767225600", "1767225600001", "1767225600000.0"]))),
    }
}

fn observable(event: &mut Node, random: &mut Random) {
    const NAMES: [&str; 16] = [
        "metadata.uid",
        "metadata.product.name",
        "metadata.version",
        "nope",
        "",
        "metadata",
        "unmapped.a",
        "a..b",
        "metadata.profiles[0]",
        "metadata.profiles[9]",
        "metadata.profiles[]",
        "metadata[].version",
        "time",
        "class_uid",
        "observables[0].name",
        "severity[x.y]",
    ];
    let name = random.pick(&NAMES);
    let value = random.pick(&["x", "1.3.0", "cloud", "1767225600000", "2004", ""]);
    let mut entry = vec![
        ("name".to_owned(), Node::text(name)),
        ("type_id".to_owned(), raw(random.pick(&["1", "2", "10", "99", "0"]))),
    ];
    if random.chance(70) {
        entry.push(("value".to_owned(), Node::text(value)));
    }
    event.set("observables", Node::List(vec![Node::Object(entry)]));
}
