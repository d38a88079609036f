//! Parts of Azure Resource Manager ids: `/subscriptions/{guid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}…`.
//!
//! Letter case of the fixed segments varies from source to source, so it is ignored; names keep theirs.

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
        with_id(cx, value, |id| kind(id).map(|text| &*cx.arena.alloc_str(&text)))
    }),
    function!("arm_resource", 0..=0, "the resource that an extension id belongs to", |cx, value, _| {
        with_id(cx, value, owner)
    }),
    function!("arm_provider", 0..=0, "provider namespace of an operation or a resource id", |cx, value, _| {
        with_id(cx, value, |id| match id.starts_with('/') {
            true => providers(id)
                .last()
                .map(|(at, _)| id.get(*at..).unwrap_or_default())
                .and_then(|rest| rest.split('/').next()),
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

/// Byte offsets of what follows each `/providers/`, and of that segment itself.
fn providers(id: &str) -> Vec<(usize, usize)> {
    const MARK: &[u8] = b"/providers/";
    let found = id.as_bytes().windows(MARK.len()).enumerate();
    found.filter(|(_, window)| window.eq_ignore_ascii_case(MARK)).map(|(at, _)| (at + MARK.len(), at)).collect()
}

/// What stands after the last `/providers/`: namespace, then types and names in turn.
fn innermost(id: &str) -> Option<Vec<&str>> {
    let (start, _) = *providers(id).last()?;
    Some(id.get(start..)?.split('/').filter(|segment| !segment.is_empty()).collect())
}

fn name(id: &str) -> Option<&str> {
    id.trim_end_matches('/').rsplit('/').next()
}

fn kind(id: &str) -> Option<String> {
    if let Some(segments) = innermost(id) {
        let (namespace, rest) = segments.split_first()?;
        let types: Vec<&str> = rest.iter().step_by(2).copied().collect();
        return (!types.is_empty()).then(|| format!("{namespace}/{}", types.join("/")));
    }
    if segment(id, "resourceGroups").is_some() {
        return Some("Microsoft.Resources/resourceGroups".to_owned());
    }
    segment(id, "subscriptions").map(|_| "Microsoft.Resources/subscriptions".to_owned())
}

/// The id before the `/providers/Microsoft.Security/…` that an assessment's or alert's own id ends with.
fn owner(id: &str) -> Option<&str> {
    let own = providers(id).into_iter().find(|(after, _)| {
        let rest = id.get(*after..).unwrap_or_default();
        rest.split('/').next().is_some_and(|namespace| namespace.eq_ignore_ascii_case("Microsoft.Security"))
    });
    match own {
        Some((_, at)) => id.get(..at).filter(|text| !text.is_empty()),
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
        assert_eq!(kind(&extension).as_deref(), Some("Microsoft.Security/assessments"));
        let nested = format!("{VM}/extensions/e1");
        assert_eq!(kind(&nested).as_deref(), Some("Microsoft.Compute/virtualMachines/extensions"));
    }
}
