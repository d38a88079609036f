//! JSON as the rules see it: with or without nulls, bounded, names looked at once.

use tributary_json::{Kind, Value};

use crate::validate::MAX_DEPTH;

/// A member of the object being judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot<'d, 'b> {
    /// Not there.
    Absent,
    /// There, but nothing that counts (see [`View::vanishes`]).
    Dropped,
    /// There.
    Present(Value<'d, 'b>),
}

impl<'d, 'b> Slot<'d, 'b> {
    /// The value, null included.
    pub(crate) fn value(self) -> Option<Value<'d, 'b>> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Dropped => None,
        }
    }

    /// The value, unless it is null.
    pub(crate) fn some(self) -> Option<Value<'d, 'b>> {
        self.value().filter(|value| !value.is_null())
    }
}

/// Whether nulls count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) drop_nulls: bool,
}

impl View {
    /// The member with this name, unless it is null or vanishes.
    pub(crate) fn get<'d, 'b>(self, object: Value<'d, 'b>, name: &str) -> Option<Value<'d, 'b>> {
        object.get(name).filter(|value| !value.is_null() && !self.vanishes(*value))
    }

    /// With `drop_nulls`: whether a member counts as absent, being null or an object of nothing but such members.
    pub(crate) fn vanishes(self, value: Value<'_, '_>) -> bool {
        self.drop_nulls && is_hollow(value, MAX_DEPTH)
    }

    /// The elements that count.
    pub(crate) fn elements<'d, 'b>(self, list: Value<'d, 'b>) -> impl Iterator<Item = Value<'d, 'b>> {
        list.elements().filter(move |element| !(self.drop_nulls && element.is_null()))
    }
}

fn is_hollow(value: Value<'_, '_>, depth: usize) -> bool {
    match value.kind() {
        Kind::Null => true,
        Kind::Object if value.count() > 0 && depth > 0 => {
            value.members().all(|(_, member)| is_hollow(member, depth - 1))
        }
        _ => false,
    }
}

/// The first name that an object at or below `value` has twice. Takes no part of the call stack.
pub(crate) fn duplicate<'b>(value: Value<'_, 'b>) -> Option<&'b str> {
    let mut names: Vec<&'b str> = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value.kind() {
            Kind::Object => {
                names.clear();
                for (name, member) in value.members() {
                    names.push(name);
                    if member.count() > 0 {
                        open.push(member);
                    }
                }
                names.sort_unstable();
                let twice = names.windows(2).find(|pair| pair.first() == pair.last());
                if let Some(name) = twice.and_then(|pair| pair.first()) {
                    return Some(name);
                }
            }
            Kind::Array => open.extend(value.elements().filter(|element| element.count() > 0)),
            _ => {}
        }
    }
    None
}

/// Whether a value is a number written without fraction and exponent, of any size.
pub(crate) fn is_integer(value: Value<'_, '_>) -> bool {
    value.number_text().is_some_and(|text| !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')))
}

/// What a value is, for messages.
pub(crate) fn kind_name(value: Value<'_, '_>) -> &'static str {
    match value.kind() {
        Kind::Null => "null",
        Kind::Bool => "a boolean",
        Kind::Number if is_integer(value) => "an integer",
        Kind::Number => "a number with a fraction",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}
