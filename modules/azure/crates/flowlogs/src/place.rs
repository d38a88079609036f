//! Where a flow was seen: what resource ids, and the path of a blob, say of it.

/// What a virtual network's resource id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target<'i> {
    /// The network's id.
    pub(crate) network: Option<&'i str>,
    /// The subnet's id.
    pub(crate) subnet: Option<&'i str>,
    /// The interface's id and name.
    pub(crate) interface: Option<(&'i str, &'i str)>,
}

/// Finds a segment without regard to case. Returns where the one after it begins and ends.
fn after(id: &str, name: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    let mut found = false;
    for segment in id.split('/') {
        let end = at + segment.len();
        if found {
            return (!segment.is_empty()).then_some((at, end));
        }
        found = segment.eq_ignore_ascii_case(name);
        at = end + 1;
    }
    None
}

fn named<'i>(id: &'i str, name: &str) -> Option<&'i str> {
    let (start, end) = after(id, name)?;
    id.get(start..end)
}

/// The subscription of a resource.
pub(crate) fn subscription(id: &str) -> Option<&str> {
    named(id, "subscriptions").filter(|text| is_guid(text))
}

pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// What a blob's path begins with within its container, for flow logs of networks and of security groups.
const FIRST_SEGMENTS: [&str; 2] = ["flowLogResourceID=", "resourceId="];

/// A blob's name as it is in its container, wherever the container or its copy is; the whole name where it is not Network
/// Watcher's.
pub(crate) fn within_container(name: &str) -> &str {
    let at = FIRST_SEGMENTS.iter().filter_map(|segment| name.find(segment)).min();
    at.and_then(|at| name.get(at..)).unwrap_or(name)
}

const WATCHER: &str = "networkwatcher_";

/// The region in the name that Azure gives to a region's network watcher, lower case.
fn watcher_region(name: &str) -> Option<String> {
    let prefix = name.get(..WATCHER.len())?;
    let region = name.get(WATCHER.len()..)?;
    let plain = (2..=40).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (prefix.eq_ignore_ascii_case(WATCHER) && plain).then(|| region.to_ascii_lowercase())
}

/// The region of a flow log, by its network watcher's name.
pub(crate) fn region(flow_log: &str) -> Option<String> {
    watcher_region(named(flow_log, "networkWatchers")?)
}

/// What the id of a flow log's target names.
pub(crate) fn target(id: &str) -> Target<'_> {
    let up_to = |name| after(id, name).and_then(|(_, end)| id.get(..end));
    let interface = after(id, "networkInterfaces").and_then(|(start, end)| Some((id.get(..end)?, id.get(start..end)?)));
    let network = up_to("virtualNetworks");
    Target { network, subnet: network.and(up_to("subnets")), interface }
}

/// What a blob's path says of every record in it. A flow log's has the subscription and the network watcher of
/// the flow log, a security group's its resource id; both have the hour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PathHints {
    pub(crate) subscription: Option<String>,
    pub(crate) region: Option<String>,
    /// The hour, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) hour: Option<i64>,
}

impl PathHints {
    pub(crate) fn of(path: &str) -> Self {
        let mut hints =
            Self { subscription: subscription(path).map(str::to_ascii_lowercase), region: None, hour: hour(path) };
        for segment in path.split('/') {
            let lower = segment.to_ascii_lowercase();
            if let Some(owner) = lower.strip_suffix("_networkwatcherrg").filter(|owner| is_guid(owner)) {
                hints.subscription = Some(owner.to_owned());
            }
            // The flow log's name follows the region.
            if let Some(name) = lower.strip_prefix(WATCHER) {
                hints.region = watcher_region(&format!("{WATCHER}{}", name.split('_').next().unwrap_or_default()));
            }
        }
        hints
    }
}

/// The hour that a blob's name has in it (`…/y=2026/m=01/d=01/h=12/m=00/…`), in milliseconds since 1970-01-01T00:00:00Z.
pub fn hour(path: &str) -> Option<i64> {
    let mut parts = path.split('/').skip_while(|part| !part.starts_with("y="));
    let mut number = |name: &str| parts.next()?.strip_prefix(name)?.parse::<i64>().ok();
    let (year, month, day, hour) = (number("y=")?, number("m=")?, number("d=")?, number("h=")?);
    let plausible = (1973..5_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !plausible || !(0..24).contains(&hour) {
        return None;
    }
    tributary_mapping::parse_timestamp(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:00:00Z"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_ids_name() {
        let id = "/subscriptions/0A1B2C3D-0000-4000-8000-000000000001/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/Spoke/subnets/web";
        let found = target(id);
        assert_eq!(found.subnet, Some(id));
        assert_eq!(found.network, id.strip_suffix("/subnets/web"));
        assert_eq!(found.interface, None);
        assert_eq!(subscription(id), Some("0A1B2C3D-0000-4000-8000-000000000001"));
        let nic = "/subscriptions/x/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/nic-1";
        assert_eq!(target(nic).interface, Some((nic, "nic-1")));
        assert_eq!(subscription(nic), None);
        assert_eq!(target("/virtualNetworks"), Target::default());
        assert_eq!(target("subnets/a"), Target::default());
        let log = "/SUBSCRIPTIONS/X/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_WESTEUROPE/FLOWLOGS/A_B";
        assert_eq!(region(log).as_deref(), Some("westeurope"));
        assert_eq!(region(&log.replace("NETWORKWATCHER_WESTEUROPE", "OURS")), None);
    }

    #[test]
    fn what_paths_say() {
        let hints = PathHints::of(
            "flowLogResourceID=/0A1B2C3D-0000-4000-8000-000000000001_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_SPOKE_LOG/y=2026/m=01/d=01/h=12/m=00/macAddress=000D3A000001/PT1H.json",
        );
        assert_eq!(hints.subscription.as_deref(), Some("0a1b2c3d-0000-4000-8000-000000000001"));
        assert_eq!(hints.region.as_deref(), Some("westeurope"));
        assert_eq!(hints.hour, Some(1_767_268_800_000));
        let group = PathHints::of(
            "resourceId=/SUBSCRIPTIONS/0A1B2C3D-0000-4000-8000-000000000001/RESOURCEGROUPS/R/y=2026/m=13/d=01/h=12/m=00/PT1H.json",
        );
        assert_eq!(group.subscription.as_deref(), Some("0a1b2c3d-0000-4000-8000-000000000001"));
        assert_eq!((group.region, group.hour), (None, None));
        assert_eq!(PathHints::of("PT1H.json"), PathHints::default());
    }
}
