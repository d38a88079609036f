//! Parts of Azure Resource Manager ids: `/subscriptions/{guid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}…`.
//!
//! Letter case of the fixed segments varies from source to source, so it is ignored; names keep theirs.

use std::borrow::Cow;

use tributary_mapping::function::{Context, Function, Gives, Val};

macro_rules! function {
    ($name:literal, $min:literal..=$max:literal, $about:literal, $body:expr) => {
        Function { name: $name, args: ($min, $max), gives: Gives::Text, about: $about, body: $body }
    };
}

/// Longest id that is looked at, in bytes.
const MAX_LEN: usize = 4_096;

pub(crate) const FUNCTIONS: &[Function] = &[
    function!("arm_subscription", 0..=0, "subscription of a resource id, lower case", |cx, value, _| {
        with_id(cx, value, |id| segment(id, "subscriptions").map(|text| lower(cx, text)))
    }),
    function!("arm_group", 0..=0, "resource group of a resource id", |cx, value, _| {
        with_id(cx, value, |id| segment(id, "resourceGroups"))
    }),
    function!("arm_segment", 1..=1, "segment after a name in a resource id", |cx, value, args| {
        let Some(name) = args.first().and_then(|arg| cx.text(*arg)) else { return Val::None };
        with_id(cx, value, |id| segment(id, name))
    }),
    function!("arm_name", 0..=0, "name of a resource id's innermost resource", |cx, value, _| with_id(cx, value, name)),
    function!("arm_type", 0..=0, "type of a resource id's innermost resource", |cx, value, _| {
        with_id(cx, value, |id| match kind(id)? {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(text) => Some(cx.arena.alloc_str(&text)),
        })
    }),
    function!("arm_resource", 0..=0, "the resource that an extension id belongs to", |cx, value, _| {
        with_id(cx, value, owner)
    }),
    function!("arm_provider", 0..=0, "provider namespace of an operation or a resource id", |cx, value, _| {
        with_id(cx, value, |id| match id.starts_with('/') {
            true => innermost(id).and_then(|rest| rest.split('/').next()),
            false => id.split('/').next().filter(|word| word.contains('.')),
        })
    }),
];

fn with_id<'b>(cx: &Context<'_, 'b>, value: Val<'b>, part: impl FnOnce(&'b str) -> Option<&'b str>) -> Val<'b> {
    match cx.string(value).map(str::trim).filter(|id| id.len() <= MAX_LEN).and_then(part) {
        Some(text) if !text.is_empty() => Val::Str(text),
        _ => Val::None,
    }
}

fn lower<'b>(cx: &Context<'_, 'b>, text: &'b str) -> &'b str {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        cx.arena.alloc_str(&text.to_ascii_lowercase())
    } else {
        text
    }
}

/// The segment after the one named `name`.
fn segment<'t>(id: &'t str, name: &str) -> Option<&'t str> {
    let mut segments = id.split('/');
    segments.find(|segment| segment.eq_ignore_ascii_case(name))?;
    segments.next().filter(|text| !text.is_empty())
}

const PROVIDERS: &str = "/providers/";

/// Byte offsets of each `/providers/`.
fn providers(id: &str) -> impl DoubleEndedIterator<Item = usize> + '_ {
    let slashes = id.match_indices('/').map(|(at, _)| at);
    slashes
        .filter(|at| id.get(*at..*at + PROVIDERS.len()).is_some_and(|segment| segment.eq_ignore_ascii_case(PROVIDERS)))
}

/// What stands after the last `/providers/`: namespace, then types and names in turn.
fn innermost(id: &str) -> Option<&str> {
    let at = providers(id).next_back()?;
    id.get(at + PROVIDERS.len()..)
}

fn name(id: &str) -> Option<&str> {
    id.trim_end_matches('/').rsplit('/').next()
}

fn kind(id: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = innermost(id) else {
        let named = |name: &str| segment(id, name).is_some();
        return match named("resourceGroups") {
            true => Some("Microsoft.Resources/resourceGroups".into()),
            false => named("subscriptions").then(|| "Microsoft.Resources/subscriptions".into()),
        };
    };
    let mut segments = inner.split('/').filter(|segment| !segment.is_empty());
    let (namespace, first) = (segments.next()?, segments.next()?);
    let mut further = segments.skip(1).step_by(2).peekable();
    // Of a resource that lies in no other one, the type is a part of its id.
    let start = inner.get(..namespace.len() + 1 + first.len());
    if let (None, Some(start)) = (further.peek(), start)
        && start.starts_with(namespace)
        && start.ends_with(first)
    {
        return Some(start.into());
    }
    let mut kind = format!("{namespace}/{first}");
    for name in further {
        kind.push('/');
        kind.push_str(name);
    }
    Some(kind.into())
}

/// The id before the `/providers/Microsoft.Security/…` that an assessment's or alert's own id ends with.
fn owner(id: &str) -> Option<&str> {
    let own = providers(id).rfind(|at| {
        let rest = id.get(at + PROVIDERS.len()..).unwrap_or_default();
        rest.split('/').next().is_some_and(|namespace| namespace.eq_ignore_ascii_case("Microsoft.Security"))
    });
    match own {
        Some(at) => id.get(..at).filter(|text| !text.is_empty()),
        None => Some(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "/subscriptions/AAAA/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm1";

    #[test]
    fn parts_of_a_resource_id() {
        assert_eq!(segment(VM, "SUBSCRIPTIONS"), Some("AAAA"));
        assert_eq!(segment("/subscriptions", "subscriptions"), None);
        assert_eq!(name(VM), Some("vm1"));
        assert_eq!(kind(VM).as_deref(), Some("Microsoft.Compute/virtualMachines"));
        assert_eq!(kind("/subscriptions/x").as_deref(), Some("Microsoft.Resources/subscriptions"));
        let extension = format!("{VM}/providers/Microsoft.Security/assessments/abc");
        assert_eq!(owner(&extension), Some(VM));
        assert_eq!(owner(VM), Some(VM));
        // A resource of another cloud lies below a connector of the same provider.
        let entity =
            "/subscriptions/A/resourceGroups/r/providers/Microsoft.Security/securityConnectors/c/securityentitydata/e";
        assert_eq!(owner(&format!("{entity}/providers/microsoft.security/assessments/abc")), Some(entity));
        assert_eq!(kind(&extension).as_deref(), Some("Microsoft.Security/assessments"));
        assert_eq!(kind("/providers//A.B//c/d").as_deref(), Some("A.B/c"));
        assert_eq!(kind("/x/PROVIDERS/A.B"), None);
        let nested = format!("{VM}/extensions/e1");
        assert_eq!(kind(&nested).as_deref(), Some("Microsoft.Compute/virtualMachines/extensions"));
    }
}
