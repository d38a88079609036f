//! Files that are generated from the code: lists of metrics and of permissions.

use tributary_telemetry::catalogue;

use crate::permissions;

/// Where the tables of permissions begin and end in `docs/SECURITY.md`.
const BEGIN: &str = "<!-- permissions: generated -->\n";
const END: &str = "<!-- /permissions -->\n";

/// A file by its path from the project's root, and what it holds. `read` gives what is there now: of a page that is only partly
/// generated the rest stays.
pub fn files(read: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let security = "docs/SECURITY.md";
    let page = read(security).unwrap_or_default();
    let (before, rest) = page.split_once(BEGIN).unwrap_or((page.as_str(), ""));
    let after = rest.split_once(END).map_or("", |(_, after)| after);
    vec![
        ("infra/generated/metrics.json", catalogue::json()),
        ("docs/METRICS.md", catalogue::markdown()),
        ("infra/generated/permissions.json", permissions::json()),
        (security, format!("{before}{BEGIN}{}{END}{after}", permissions::markdown())),
    ]
}
