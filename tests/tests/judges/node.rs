//! JSON that may be wrong: members in order, names twice, numbers as text.

use std::fmt::Write as _;

/// A value of an event under construction.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A scalar as JSON text.
    Raw(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(text: &str) -> Self {
        Self::Raw(serde_json::to_string(text).unwrap())
    }

    pub(crate) fn number(number: i64) -> Self {
        Self::Raw(number.to_string())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members) => members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: Self) {
        match (self.get_mut(name).is_some(), self) {
            (true, this) => *this.get_mut(name).unwrap() = value,
            (false, Self::Object(members)) => members.push((name.to_owned(), value)),
            (false, _) => {}
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(key, _)| key != name);
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::List(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    let _ = write!(out, "{}{}:", if at > 0 { "," } else { "" }, serde_json::to_string(name).unwrap());
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// How many objects there are, this one included.
    pub(crate) fn count_objects(&self) -> usize {
        match self {
            Self::Raw(_) => 0,
            Self::List(elements) => elements.iter().map(Self::count_objects).sum(),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.count_objects()).sum::<usize>(),
        }
    }

    /// The members of the object at `place`, counted from 0 in order of text.
    pub(crate) fn nth_object(&mut self, place: &mut usize) -> Option<&mut Vec<(String, Node)>> {
        match self {
            Self::Raw(_) => None,
            Self::List(elements) => elements.iter_mut().find_map(|element| element.nth_object(place)),
            Self::Object(members) => {
                if *place == 0 {
                    return Some(members);
                }
                *place -= 1;
                members.iter_mut().find_map(|(_, value)| value.nth_object(place))
            }
        }
    }
}
