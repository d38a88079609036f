//! Events made from the tables: every class, valid as far as the tables say what that is.

use tributary_ocsf::{Attr, BaseType, Constraint, Requirement, Schema, Shape, ShapeId, ShapeKind, write_rfc3339};

use crate::node::Node;
use crate::random::Random;

const TIME: i64 = 1_767_225_600_000;
/// Levels below which only required attributes are set.
const DEPTH: usize = 4;

pub(crate) struct Generator<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) random: Random,
    profiles: Vec<&'static str>,
}

impl<'s> Generator<'s> {
    pub(crate) fn new(schema: &'s Schema, seed: u64) -> Self {
        Self { schema, random: Random(seed), profiles: Vec::new() }
    }

    /// An event of the `number`th class, going round.
    pub(crate) fn event(&mut self, number: usize) -> Node {
        let classes: Vec<(usize, &Shape)> =
            self.schema.shapes.iter().enumerate().filter(|(_, shape)| shape.kind == ShapeKind::Class).collect();
        let (index, class) = classes[number % classes.len()];
        let random = &mut self.random;
        self.profiles = class.profiles.iter().copied().filter(|_| random.chance(30)).collect();
        let mut event = self.object(ShapeId(u16::try_from(index).unwrap()), 0);
        self.head(class, &mut event);
        self.observables(class, &mut event);
        event
    }

    fn is_active(&self, attr: &Attr) -> bool {
        attr.profiles.as_ref().is_none_or(|names| names.iter().any(|name| self.profiles.contains(name)))
    }

    /// What links the class's attributes with one another.
    fn head(&mut self, class: &Shape, event: &mut Node) {
        let uid = i64::from(class.uid.unwrap());
        let activity = event.get("activity_id").map_or(0, |node| match node {
            Node::Raw(text) => text.parse().unwrap_or(0),
            _ => 0,
        });
        event.set("type_uid", Node::number(uid * 100 + activity));
        let (_, attr) = class.attr_named("type_uid").unwrap();
        let table = self.schema.enumeration(attr.enumeration.unwrap()).unwrap();
        if let (Some(name), Some(_)) = (table.by_id(uid * 100 + activity), event.get("type_name")) {
            let other = activity == 99;
            event.set("type_name", Node::text(if other { "of its own" } else { name.caption }));
        }
        let metadata = event.get_mut("metadata").unwrap();
        metadata.set("version", Node::text(self.schema.version.as_str()));
        metadata.remove("profiles");
        if !self.profiles.is_empty() {
            metadata.set("profiles", Node::List(self.profiles.iter().map(|name| Node::text(name)).collect()));
        }
        if self.random.chance(30) {
            let entries = [("a.b", Node::text("c")), ("n", Node::text("1"))];
            event.set("unmapped", Node::Object(entries.map(|(name, node)| (name.to_owned(), node)).to_vec()));
        } else {
            event.remove("unmapped");
        }
    }

    fn object(&mut self, id: ShapeId, depth: usize) -> Node {
        let shape = self.schema.shape(id).unwrap();
        if shape.attrs.is_empty() {
            return Node::Object(vec![("anything".to_owned(), Node::text("goes"))]);
        }
        let mut wanted: Vec<bool> = shape.attrs.iter().map(|attr| self.is_wanted(attr, depth)).collect();
        self.keep_constraints(shape, &mut wanted);
        let mut object = Node::Object(Vec::new());
        for (index, attr) in shape.attrs.iter().enumerate() {
            if !wanted[index] || attr.name == "observables" {
                continue;
            }
            let value = self.value(attr, depth);
            object.set(attr.name, value);
        }
        self.captions(shape, &mut object);
        twins(shape, &mut object);
        // What is in no list of required attributes may still not be empty.
        if let Node::Object(members) = &mut object
            && members.is_empty()
            && let Some(attr) = shape.attrs.iter().find(|attr| {
                attr.object.is_none() && attr.enumeration.is_none() && attr.deprecated.is_none() && self.is_active(attr)
            })
        {
            let value = self.value(attr, depth);
            object.set(attr.name, value);
        }
        object
    }

    fn is_wanted(&mut self, attr: &Attr, depth: usize) -> bool {
        if !self.is_active(attr) {
            return false;
        }
        let (recommended, optional) = if depth >= DEPTH { (0, 0) } else { (40 / (depth + 1), 12 / (depth + 1)) };
        match attr.requirement {
            Requirement::Required => true,
            _ if attr.deprecated.is_some() => self.random.chance(1),
            // An attribute of a listed profile makes use of it.
            _ if attr.profiles.is_some() && depth == 0 => self.random.chance(80),
            Requirement::Recommended => self.random.chance(recommended),
            Requirement::Optional => self.random.chance(optional),
        }
    }

    fn keep_constraints(&mut self, shape: &Shape, wanted: &mut [bool]) {
        for constraint in &shape.constraints {
            let (Constraint::AtLeastOne(paths) | Constraint::JustOne(paths)) = constraint;
            let places: Vec<usize> = paths
                .iter()
                .filter_map(|path| shape.attr_named(path.split('.').next().unwrap()))
                .filter(|(_, attr)| self.is_active(attr))
                .map(|(index, _)| usize::from(index.0))
                .collect();
            if places.is_empty() {
                continue;
            }
            let chosen = self.random.pick(&places);
            if matches!(constraint, Constraint::JustOne(_)) {
                places.iter().for_each(|place| wanted[*place] = false);
                wanted[chosen] = true;
            } else if !places.iter().any(|place| wanted[*place]) {
                wanted[chosen] = true;
            }
        }
    }

    fn value(&mut self, attr: &Attr, depth: usize) -> Node {
        if !attr.array {
            return self.one(attr, depth);
        }
        let count = 1 + self.random.below(2);
        Node::List((0..count).map(|_| self.one(attr, depth)).collect())
    }

    fn one(&mut self, attr: &Attr, depth: usize) -> Node {
        if let Some(id) = attr.object {
            return self.object(id, depth + 1);
        }
        let Some(table) = attr.enumeration.and_then(|id| self.schema.enumeration(id)) else { return self.scalar(attr) };
        let values: Vec<_> = table.values.iter().filter(|value| !value.deprecated).collect();
        let value = self.random.pick(&values);
        match value.id {
            Some(id) => Node::number(id),
            None => Node::text(value.key),
        }
    }

    fn scalar(&mut self, attr: &Attr) -> Node {
        let ty = self.schema.type_of(attr);
        let small = i64::try_from(self.random.below(60_000)).unwrap();
        let text = |options: &[&str], random: &mut Random| Node::text(random.pick(options));
        match (ty.base, ty.name) {
            (BaseType::Boolean, _) => Node::Raw(if small % 2 == 0 { "true" } else { "false" }.to_owned()),
            (_, "timestamp_t") => Node::number(TIME + small * 1_000 + small % 1_000),
            (BaseType::Integer | BaseType::Long, _) => Node::number(small),
            (BaseType::Float, _) => Node::Raw(format!("{small}.5")),
            (BaseType::Json, _) => Node::Object(vec![("any".to_owned(), Node::number(small))]),
            (_, "datetime_t") => {
                let mut written = String::new();
                write_rfc3339(TIME + small * 1_000, &mut written);
                Node::text(&written)
            }
            (_, "ip_t") => text(&["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0"], &mut self.random),
            (_, "mac_t") => text(&["11:22:33:44:55:66", "aa-bb-cc-dd-ee-ff"], &mut self.random),
            (_, "email_t") => text(&["alice@contoso.example", "b.o+b@x.y"], &mut self.random),
            (_, "hostname_t") => text(&["vm-1.contoso.example", "vm1"], &mut self.random),
            (_, "subnet_t") => {
                text(&["10.0.0.0/8", "2001:db8::/32", "10.0.0.0/255.0.0.0", "10.1.2.3"], &mut self.random)
            }
            (_, "uuid_t") => Node::text("0a1b2c3d-0000-4000-8000-000000000001"),
            _ => Node::text(&format!("text {small} é")),
        }
    }

    /// Siblings say what their enumeration's value is called; a sibling alone says nothing.
    fn captions(&mut self, shape: &Shape, object: &mut Node) {
        for attr in shape.attrs.iter().filter(|attr| attr.enumeration.is_some()) {
            let Some(sibling) = attr.sibling.and_then(|index| shape.attr(index)) else { continue };
            let table = self.schema.enumeration(attr.enumeration.unwrap()).unwrap();
            let caption = |node: &Node| match node {
                Node::Raw(text) => match table.values.iter().find(|value| value.key == text) {
                    Some(value) if value.id != Some(99) => Node::text(value.caption),
                    _ => Node::text("of its own"),
                },
                other => other.clone(),
            };
            match object.get(attr.name) {
                Some(Node::List(values)) => {
                    let captions = values.iter().map(caption).collect();
                    object.set(sibling.name, Node::List(captions));
                }
                Some(value) => {
                    let caption = caption(value);
                    let other = matches!(value, Node::Raw(text) if text == "99");
                    if other || object.get(sibling.name).is_some() || self.random.chance(60) {
                        object.set(sibling.name, caption);
                    }
                }
                None => object.remove(sibling.name),
            }
        }
    }

    /// A few observables that say what stands in the event.
    fn observables(&mut self, class: &Shape, event: &mut Node) {
        let mut found = Vec::new();
        self.observable_paths(class, event, "", &mut found);
        let Some((_, observable)) = self.schema.object_named("observable") else { return };
        let (_, type_id) = observable.attr_named("type_id").unwrap();
        let table = self.schema.enumeration(type_id.enumeration.unwrap()).unwrap();
        let mut list = Vec::new();
        while !found.is_empty() && list.len() < 3 && self.random.chance(60) {
            let (path, value, kind) = found.swap_remove(self.random.below(found.len()));
            let Some(caption) = table.by_id(kind.into()) else { continue };
            let ty = if kind == 99 { "of its own" } else { caption.caption };
            let mut entry = vec![
                ("name".to_owned(), Node::text(&path)),
                ("type_id".to_owned(), Node::number(kind.into())),
                ("type".to_owned(), Node::text(ty)),
            ];
            entry.extend(value.map(|value| ("value".to_owned(), value)));
            list.push(Node::Object(entry));
        }
        if !list.is_empty() {
            event.set("observables", Node::List(list));
        }
    }

    fn observable_paths(&self, shape: &Shape, node: &Node, at: &str, out: &mut Vec<(String, Option<Node>, i32)>) {
        let Node::Object(members) = node else { return };
        for (name, value) in members {
            let Some((_, attr)) = shape.attr_named(name) else { continue };
            let name = if attr.array { format!("{at}{name}[]") } else { format!("{at}{name}") };
            let elements = match value {
                Node::List(elements) => elements.iter().collect(),
                one => vec![one],
            };
            let inner = attr.object.and_then(|id| self.schema.shape(id));
            let of_type = inner.map_or(self.schema.type_of(attr).observable, |shape| shape.observable);
            for element in elements {
                match inner {
                    Some(shape) => {
                        self.observable_paths(shape, element, &format!("{name}."), out);
                        out.extend(of_type.map(|kind| (name.clone(), None, kind)));
                    }
                    None => {
                        // A text is its own value; a number is written out.
                        let written = match element {
                            Node::Raw(text) if text.starts_with('"') => element.clone(),
                            Node::Raw(text) => Node::text(text),
                            other => other.clone(),
                        };
                        let kind = attr.observable.or(of_type).unwrap_or(99);
                        out.push((name.clone(), Some(written), kind));
                    }
                }
            }
        }
    }
}

/// `x_dt` is the instant of `x`.
fn twins(shape: &Shape, object: &mut Node) {
    for attr in shape.attrs.iter().filter(|attr| attr.name.ends_with("_dt")) {
        if let Some(Node::Raw(number)) = object.get(attr.name.trim_end_matches("_dt"))
            && object.get(attr.name).is_some()
        {
            let mut written = String::new();
            write_rfc3339(number.parse().unwrap(), &mut written);
            object.set(attr.name, Node::text(&written));
        }
    }
}
