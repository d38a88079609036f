//! The closed library of functions, and how a module adds its own.

use bumpalo::Bump;
use tributary_json::{Doc, Kind, NodeId, Value as JsonValue};

/// A value while an expression is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Val<'b> {
    /// No value.
    None,
    /// A value of the source document.
    Node(NodeId),
    /// Text
    Str(&'b str),
    /// A whole number
    Int(i64),
    /// A finite number
    Float(f64),
    /// A truth value
    Bool(bool),
    /// Several values
    List(&'b [Val<'b>]),
}

/// What a function gives, as far as the static check can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Anything the source holds.
    Any,
    /// Text
    Text,
    /// A whole number
    Int,
    /// A number
    Float,
    /// A truth value
    Bool,
    /// Milliseconds
    Time,
    /// A list of text
    List,
}

/// What a function may look at.
pub struct Context<'d, 'b> {
    /// The source document.
    pub doc: &'d Doc<'b>,
    /// Where results live.
    pub arena: &'b Bump,
}

impl<'d, 'b> Context<'d, 'b> {
    /// The source value behind `id`.
    pub fn node(&self, id: NodeId) -> JsonValue<'d, 'b> {
        self.doc.value(id)
    }

    /// The text of a text, number or truth value; empty text is no text.
    pub fn text(&self, value: Val<'b>) -> Option<&'b str> {
        let text = match value {
            Val::Str(text) => text,
            Val::Int(number) => self.arena.alloc_str(&number.to_string()),
            Val::Float(number) => self.arena.alloc_str(&number.to_string()),
            Val::Bool(true) => "true",
            Val::Bool(false) => "false",
            Val::Node(id) => {
                let node = self.node(id);
                match node.kind() {
                    Kind::String => node.as_str()?,
                    Kind::Number => node.number_text()?,
                    Kind::Bool => match node.as_bool()? {
                        true => "true",
                        false => "false",
                    },
                    _ => return None,
                }
            }
            Val::None | Val::List(_) => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Text that a string alone gives: no number, no truth value.
    pub fn string(&self, value: Val<'b>) -> Option<&'b str> {
        match value {
            Val::Str(text) => Some(text),
            Val::Node(id) => self.node(id).as_str(),
            _ => None,
        }
        .filter(|text| !text.is_empty())
    }

    /// `text` as a value; empty text is none.
    pub fn give(&self, text: &str) -> Val<'b> {
        if text.is_empty() { Val::None } else { Val::Str(self.arena.alloc_str(text)) }
    }
}

/// A function: total, and blind to everything but its input and its literal arguments.
pub type Body = for<'d, 'b> fn(&Context<'d, 'b>, Val<'b>, &[Val<'b>]) -> Val<'b>;

/// A function as the compiler knows it.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name in mapping files.
    pub name: &'static str,
    /// Fewest and most arguments in parentheses.
    pub args: (usize, usize),
    /// What it gives.
    pub gives: Gives,
    /// One line for the documentation.
    pub about: &'static str,
    /// What it does.
    pub body: Body,
}
