//! One record: its head, and the walk through its flows.

use std::borrow::Cow;

use tributary_mapping::Reason;

use super::json::{Broken, Raw, Walk};
use super::tuple::{Fault, Form, Tuple, tuple};

/// Longest text of a record outside its tuples: resource ids and rules have some hundred bytes.
const MAX_TEXT: usize = 2_048;
/// Most members of a record that are carried along unread.
const MAX_EXTRAS: usize = 16;
/// Deepest nesting of records in records.
const MAX_NESTED: usize = 4;

/// Why a record is refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: &'static str,
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::At(_) => {
                Self { reason: Reason::NotJson, detail: "the record is no json object, or its flows are no lists" }
            }
            Broken::Deep => Self {
                reason: Reason::TooDeep,
                detail: "the record is nested deeper than 64 levels, or in more than four records",
            },
        }
    }
}

const LONG: Refusal = Refusal { reason: Reason::TooLarge, detail: "a text of the record has more than 2048 bytes" };

/// What a record says of all its tuples.
#[derive(Debug, Default)]
pub(crate) struct Head<'r> {
    pub(crate) time: Option<Cow<'r, str>>,
    pub(crate) mac: Option<Cow<'r, str>>,
    pub(crate) category: Option<Cow<'r, str>>,
    pub(crate) version: Option<Cow<'r, str>>,
    pub(crate) flow_log: Option<Cow<'r, str>>,
    pub(crate) target: Option<Cow<'r, str>>,
    pub(crate) resource: Option<Cow<'r, str>>,
    /// Members that no attribute is for.
    pub(crate) extras: Vec<(Cow<'r, str>, Cow<'r, str>)>,
    /// Where the flows begin.
    network: Option<usize>,
    group: Option<usize>,
    nested: Option<usize>,
}

/// What takes a record's content in its order.
pub(crate) trait Sink {
    /// How much was taken.
    type Mark: Copy;
    /// How much was taken by now.
    fn mark(&self) -> Self::Mark;
    /// Forgets what was taken since.
    fn back(&mut self, mark: Self::Mark);
    /// A record within the record is refused. `place` says which: its index among those of each record around it, the outermost's
    /// first.
    fn refused(&mut self, place: &[u32], refusal: Refusal, raw: &[u8]);
    /// A record begins, or one within it.
    fn head(&mut self, head: &Head<'_>, form: Form);
    /// The version of the record's form, where its flows say it.
    fn version(&mut self, text: &str);
    /// Tuples of one rule (and one interface) follow.
    fn open(&mut self) -> usize;
    /// What tuples since an [`open`](Self::open) share.
    fn describe(&mut self, opened: usize, of: Shared, text: &str);
    /// How many were opened.
    fn opened(&self) -> usize;
    /// A tuple, and its text.
    fn tuple(&mut self, tuple: &Tuple<'_>, raw: &[u8]);
    /// What stands in the place of one.
    fn bad(&mut self, fault: &'static str, raw: &[u8]);
    /// The next flow of the record, and the next group of the flow.
    fn flow(&mut self);
    fn flow_group(&mut self);
}

/// What tuples share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    Rule,
    Acl,
    Mac,
}

fn text<'r>(raw: Raw<'r>) -> Result<Option<Cow<'r, str>>, Refusal> {
    if raw.bytes.len() > MAX_TEXT {
        return Err(LONG);
    }
    Ok(raw.text().filter(|text| !text.is_empty()))
}

/// Reads a record's members; its flows are only passed over.
pub(crate) fn head(bytes: &[u8]) -> Result<Head<'_>, Refusal> {
    let mut head = Head::default();
    let mut long = None;
    let mut walk = Walk::new(bytes);
    if walk.peek() != Some(b'{') && serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok() {
        return Err(Refusal { reason: Reason::NotALog, detail: "what stands in the place of a record is no object" });
    }
    walk.members(|name, walk| {
        walk.peek();
        let at = walk.at;
        let slot = match name.bytes {
            b"flowRecords" => {
                head.network = Some(at);
                return walk.skip().map(drop);
            }
            b"properties" => {
                head.group = Some(at);
                return walk.skip().map(drop);
            }
            b"records" => {
                head.nested = Some(at);
                return walk.skip().map(drop);
            }
            // It says nothing that the category does not.
            b"operationName" => return walk.skip().map(drop),
            b"time" => &mut head.time,
            b"macAddress" => &mut head.mac,
            b"category" => &mut head.category,
            b"flowLogVersion" => &mut head.version,
            b"flowLogResourceID" => &mut head.flow_log,
            b"targetResourceID" => &mut head.target,
            b"resourceId" => &mut head.resource,
            _ => {
                let value = value(walk)?;
                match (name.text(), value) {
                    (Some(name), Ok(Some(value))) if head.extras.len() < MAX_EXTRAS && name.len() <= 128 => {
                        head.extras.retain(|(known, _)| *known != name);
                        head.extras.push((name, value));
                    }
                    (_, Err(refusal)) => long = Some(refusal),
                    _ => {}
                }
                return Ok(());
            }
        };
        match value(walk)? {
            Ok(value) => *slot = value,
            Err(refusal) => long = Some(refusal),
        }
        Ok(())
    })?;
    if !walk.ended() {
        return Err(Broken::At(walk.at).into());
    }
    match long {
        Some(refusal) => Err(refusal),
        None => Ok(head),
    }
}

/// A member's value as text: strings by what they say, numbers and what is nested as they are written.
fn value<'r>(walk: &mut Walk<'r>) -> Result<Result<Option<Cow<'r, str>>, Refusal>, Broken> {
    if walk.peek() == Some(b'"') {
        return Ok(text(walk.string()?));
    }
    let raw = walk.skip()?;
    if raw == b"null" {
        return Ok(Ok(None));
    }
    if raw.len() > MAX_TEXT {
        return Ok(Err(LONG));
    }
    let valid = serde_json::from_slice::<&serde_json::value::RawValue>(raw).is_ok();
    Ok(Ok(std::str::from_utf8(raw).ok().filter(|_| valid).map(Cow::Borrowed)))
}

/// Hands a record's tuples to `sink`. After a refusal, what the sink took of the record does not count.
pub(crate) fn record(bytes: &[u8], head: &Head<'_>, sink: &mut impl Sink) -> Result<(), Refusal> {
    within(bytes, head, sink, &mut Vec::new())
}

fn within(bytes: &[u8], head: &Head<'_>, sink: &mut impl Sink, place: &mut Vec<u32>) -> Result<(), Refusal> {
    let form = match head.category.as_deref() {
        Some("FlowLogFlowEvent") => Some(Form::Network),
        Some("NetworkSecurityGroupFlowEvent") => Some(Form::Group),
        Some(_) => {
            return Err(Refusal { reason: Reason::UnknownKind, detail: "the record's category is none of flow logs" });
        }
        None if head.network.is_some() => Some(Form::Network),
        None if head.group.is_some() => Some(Form::Group),
        None => None,
    };
    let at = match form {
        Some(Form::Network) => head.network,
        Some(Form::Group) => head.group,
        None => None,
    };
    if at.is_none() && head.nested.is_none() {
        return Err(Refusal { reason: Reason::NotALog, detail: "the record has no flows" });
    }
    if let (Some(form), Some(at)) = (form, at) {
        sink.head(head, form);
        let mut walk = Walk::new(bytes);
        walk.at = at;
        let mut long = false;
        if walk.peek() == Some(b'{') {
            match form {
                Form::Network => flows::<Networks>(&mut walk, sink, &mut long)?,
                Form::Group => flows::<Groups>(&mut walk, sink, &mut long)?,
            }
        } else if walk.skip()? != b"null" {
            return Err(Broken::At(walk.at).into());
        }
        if long {
            return Err(LONG);
        }
    }
    let Some(at) = head.nested else { return Ok(()) };
    if place.len() == MAX_NESTED {
        return Err(Broken::Deep.into());
    }
    let mut walk = Walk::new(bytes);
    walk.at = at;
    let mut index = 0_u32;
    walk.elements(|walk| {
        let inner = walk.skip()?;
        place.push(index);
        index = index.saturating_add(1);
        let mark = sink.mark();
        if let Err(refusal) = self::head(inner).and_then(|head| within(inner, &head, sink, place)) {
            sink.back(mark);
            sink.refused(place, refusal, inner);
        }
        place.pop();
        Ok(())
    })?;
    Ok(())
}

/// A list's elements; nothing for null.
fn list<'r>(walk: &mut Walk<'r>, element: impl FnMut(&mut Walk<'r>) -> Result<(), Broken>) -> Result<(), Broken> {
    if walk.peek() == Some(b'n') {
        return walk.skip().map(drop);
    }
    walk.elements(element)
}

/// A member's text, handed on; what is no text is nothing.
fn told(walk: &mut Walk<'_>, long: &mut bool, then: impl FnOnce(&str)) -> Result<(), Broken> {
    if walk.peek() != Some(b'"') {
        return walk.skip().map(drop);
    }
    match text(walk.string()?) {
        Ok(Some(text)) => then(&text),
        Ok(None) => {}
        Err(_) => *long = true,
    }
    Ok(())
}

/// What the members of a form's flows are called, and what they tell. A type, so that a tuple's form is known where it is read.
trait Names {
    const FORM: Form;
    /// Of a flow, before or behind its groups.
    const FLOW: (&'static [u8], Shared);
    const GROUPS: &'static [u8];
    /// Of a group.
    const GROUP: (&'static [u8], Shared);
}

struct Networks;

impl Names for Networks {
    const FORM: Form = Form::Network;
    const FLOW: (&'static [u8], Shared) = (b"aclID", Shared::Acl);
    const GROUPS: &'static [u8] = b"flowGroups";
    const GROUP: (&'static [u8], Shared) = (b"rule", Shared::Rule);
}

struct Groups;

impl Names for Groups {
    const FORM: Form = Form::Group;
    const FLOW: (&'static [u8], Shared) = (b"rule", Shared::Rule);
    const GROUPS: &'static [u8] = b"flows";
    const GROUP: (&'static [u8], Shared) = (b"mac", Shared::Mac);
}

fn flows<N: Names>(walk: &mut Walk<'_>, sink: &mut impl Sink, long: &mut bool) -> Result<(), Broken> {
    walk.members(|name, walk| match name.bytes {
        b"flows" => list(walk, |walk| flow::<N>(walk, sink, long)),
        b"Version" if N::FORM == Form::Group => {
            let raw = walk.skip()?;
            if let Ok(text) = std::str::from_utf8(raw)
                && (1..=8).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
            {
                sink.version(text);
            }
            Ok(())
        }
        _ => walk.skip().map(drop),
    })
}

fn flow<N: Names>(walk: &mut Walk<'_>, sink: &mut impl Sink, long: &mut bool) -> Result<(), Broken> {
    sink.flow();
    let first = sink.opened();
    // The name may come behind what it names.
    let mut of_flow = None;
    walk.members(|name, walk| {
        if name.bytes == N::FLOW.0 {
            return told(walk, long, |text| of_flow = Some(text.to_owned()));
        }
        if name.bytes != N::GROUPS {
            return walk.skip().map(drop);
        }
        list(walk, |walk| {
            sink.flow_group();
            let opened = sink.open();
            walk.members(|name, walk| {
                if name.bytes == N::GROUP.0 {
                    return told(walk, long, |text| sink.describe(opened, N::GROUP.1, text));
                }
                match name.bytes {
                    b"flowTuples" => tuples(walk, N::FORM, sink),
                    _ => walk.skip().map(drop),
                }
            })
        })
    })?;
    if let Some(text) = of_flow {
        (first..sink.opened()).for_each(|opened| sink.describe(opened, N::FLOW.1, &text));
    }
    Ok(())
}

fn tuples(walk: &mut Walk<'_>, form: Form, sink: &mut impl Sink) -> Result<(), Broken> {
    list(walk, |walk| {
        if let Some((b'"', rest)) = walk.rest().split_first()
            && let Ok((tuple, length)) = tuple(rest, form)
            && rest.get(length) == Some(&b'"')
        {
            sink.tuple(&tuple, rest.get(..length).unwrap_or_default());
            walk.at += length + 2;
            return Ok(());
        }
        odd(walk, form, sink)
    })
}

/// A tuple with escapes, or none.
#[cold]
fn odd(walk: &mut Walk<'_>, form: Form, sink: &mut impl Sink) -> Result<(), Broken> {
    if walk.peek() != Some(b'"') {
        let raw = walk.skip()?;
        sink.bad("what stands in the place of a tuple is no text", raw);
        return Ok(());
    }
    let raw = walk.string()?;
    let Some(text) = raw.text() else {
        sink.bad("the tuple is no text", raw.bytes);
        return Ok(());
    };
    match tuple(text.as_bytes(), form) {
        Ok((tuple, length)) if length == text.len() => sink.tuple(&tuple, raw.bytes),
        Ok(_) => sink.bad(Fault::Counter.as_str(), raw.bytes),
        Err(fault) => sink.bad(fault.as_str(), raw.bytes),
    }
    Ok(())
}
