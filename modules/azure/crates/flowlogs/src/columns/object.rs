//! Columns of tuples as one lake object: the mapping to Network Activity.

use tributary_lake::{ColumnFile, Dictionary, LakeError, Leaves, Misfiled, Present, Stamp};

use super::rows::{
    CLOSE, Context, NO_DESTINATION_PORT, NO_SOURCE_PORT, OPEN, OTHER, OUTBOUND, REACH_SHIFT, REFUSE, RecordInfo, Rows,
    TRAFFIC, V6, Verdict,
};
use super::texts::ABSENT;
use super::unmapped::unmapped;
use crate::parse::protocol::protocol_name;
use crate::parse::tuple::NONE;

/// `class_uid` of Network Activity.
pub(crate) const CLASS_UID: i32 = 4001;
/// Name of Network Activity in the tables.
pub const CLASS: &str = "network_activity";
/// What objects are stamped with in the place of a mapping set's digest: raised when the mapping changes.
pub(crate) const MAPPING: &str = "flowlogs-1";
/// Bytes of a dictionary beyond which values are written themselves: pages stay under a megabyte.
const MAX_DICTIONARY: usize = 960 * 1_024;
/// Different ports beyond which they are written themselves.
const MAX_PORTS: u32 = 4_096;
/// Longest text of a record outside its tuples.
const MAX_TEXT: usize = 2_048;

/// Every path that is set, for the class's committed columns.
pub const PATHS: [&str; 66] = [
    "action",
    "action_id",
    "activity_id",
    "activity_name",
    "category_name",
    "category_uid",
    "class_name",
    "class_uid",
    "cloud.account.type",
    "cloud.account.type_id",
    "cloud.account.uid",
    "cloud.provider",
    "cloud.region",
    "connection_info.boundary",
    "connection_info.boundary_id",
    "connection_info.direction",
    "connection_info.direction_id",
    "connection_info.protocol_name",
    "connection_info.protocol_num",
    "connection_info.protocol_ver",
    "connection_info.protocol_ver_id",
    "disposition",
    "disposition_id",
    "dst_endpoint.interface_name",
    "dst_endpoint.interface_uid",
    "dst_endpoint.ip",
    "dst_endpoint.mac",
    "dst_endpoint.port",
    "dst_endpoint.subnet_uid",
    "dst_endpoint.vpc_uid",
    "end_time",
    "end_time_dt",
    "firewall_rule.name",
    "firewall_rule.uid",
    "metadata.logged_time",
    "metadata.logged_time_dt",
    "metadata.product.feature.name",
    "metadata.product.feature.uid",
    "metadata.product.feature.version",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.profiles",
    "metadata.uid",
    "metadata.version",
    "severity",
    "severity_id",
    "src_endpoint.interface_name",
    "src_endpoint.interface_uid",
    "src_endpoint.ip",
    "src_endpoint.mac",
    "src_endpoint.port",
    "src_endpoint.subnet_uid",
    "src_endpoint.vpc_uid",
    "start_time",
    "start_time_dt",
    "time",
    "time_dt",
    "traffic.bytes",
    "traffic.bytes_in",
    "traffic.bytes_out",
    "traffic.packets",
    "traffic.packets_in",
    "traffic.packets_out",
    "type_name",
    "type_uid",
    "unmapped",
];

/// A value of a dictionary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item<'i> {
    Text(&'i str),
    Number(i64),
}
use Item::{Number, Text};

/// One object being made.
struct Making<'m> {
    rows: &'m Rows,
    leaves: &'m Leaves,
    order: &'m [u32],
    file: ColumnFile<'m>,
}

/// The rows of `order`, sorted by time, as an object's bytes. `misfiled` is by row of `order`, empty where none is.
pub(crate) fn object(
    rows: &Rows,
    leaves: &Leaves,
    version: &str,
    order: &[u32],
    misfiled: &[Option<Misfiled>],
) -> Result<Vec<u8>, LakeError> {
    let file = ColumnFile::new(leaves, order.len())?;
    let mut making = Making { rows, leaves, order, file };
    making.constants(version)?;
    making.decisions()?;
    making.connection()?;
    making.times()?;
    making.traffic()?;
    making.addresses("src_endpoint.ip", &rows.source)?;
    making.addresses("dst_endpoint.ip", &rows.destination)?;
    making.ports("src_endpoint.port", &rows.source_port, NO_SOURCE_PORT)?;
    making.ports("dst_endpoint.port", &rows.destination_port, NO_DESTINATION_PORT)?;
    making.shared()?;
    making.uids()?;
    let made = unmapped(rows, order, misfiled);
    if made.key_codes.is_empty() {
        return making.file.finish(Stamp { ocsf_version: version, mappings: MAPPING });
    }
    making.file.entries(leaves.find("unmapped.key")?, &made.keys, &made.key_codes, &made.slots)?;
    making.file.entries(leaves.find("unmapped.value")?, &made.values, &made.value_codes, &made.slots)?;
    making.file.finish(Stamp { ocsf_version: version, mappings: MAPPING })
}

impl Making<'_> {
    fn gather<T: Copy + Default>(&self, column: &[T]) -> Vec<T> {
        self.order.iter().map(|row| column.get(*row as usize).copied().unwrap_or_default()).collect()
    }

    fn constants(&mut self, version: &str) -> Result<(), LakeError> {
        for (path, text) in [
            ("category_name", "Network Activity"),
            ("class_name", "Network Activity"),
            ("cloud.provider", "Azure"),
            ("metadata.product.name", "Azure Network Watcher"),
            ("metadata.product.vendor_name", "Microsoft"),
            ("metadata.version", version),
            ("severity", "Informational"),
        ] {
            self.file.constant(self.leaves.find(path)?, text)?;
        }
        for (path, number) in [("category_uid", 4), ("class_uid", i64::from(CLASS_UID)), ("severity_id", 1)] {
            self.file.constant_number(self.leaves.find(path)?, number)?;
        }
        let mut profiles = Dictionary::default();
        let row = ["cloud", "datetime", "security_control"].map(|name| profiles.text(name));
        self.file.list(self.leaves.find("metadata.profiles")?, &profiles, &row)
    }

    /// A column whose values follow from small numbers. `floor` is how far the path is there in a row without a value.
    fn small<'i>(
        &mut self,
        path: &str,
        column: &[u8],
        floor: u8,
        item: impl Fn(u8) -> Option<Item<'i>>,
    ) -> Result<(), LakeError> {
        let leaf = self.leaves.find(path)?;
        let mut used = [false; 256];
        for value in column {
            if let Some(slot) = used.get_mut(usize::from(*value)) {
                *slot = true;
            }
        }
        let mut dictionary = Dictionary::default();
        let mut known: Vec<(Item<'i>, u32)> = Vec::new();
        let mut table = [ABSENT; 256];
        let mut absent = false;
        for value in (0..=255_u8).filter(|value| used.get(usize::from(*value)) == Some(&true)) {
            let code = match item(value) {
                None => {
                    absent = true;
                    continue;
                }
                Some(item) => match known.iter().find(|(known, _)| *known == item) {
                    Some((_, code)) => *code,
                    None => {
                        let code = match item {
                            Text(text) => dictionary.text(text),
                            Number(number) => self.file.number(leaf, &mut dictionary, number)?,
                        };
                        known.push((item, code));
                        code
                    }
                },
            };
            if let Some(slot) = table.get_mut(usize::from(value)) {
                *slot = code;
            }
        }
        let codes: Vec<u32> =
            column.iter().map(|value| table.get(usize::from(*value)).copied().unwrap_or(ABSENT)).collect();
        self.codes(path, &dictionary, &codes, absent, |_| floor)
    }

    /// Codes, of which some may be [`ABSENT`].
    fn codes(
        &mut self,
        path: &str,
        dictionary: &Dictionary,
        codes: &[u32],
        absent: bool,
        floor: impl Fn(usize) -> u8,
    ) -> Result<(), LakeError> {
        let leaf = self.leaves.find(path)?;
        if !absent {
            return self.file.codes(leaf, dictionary, codes, Present::Always);
        }
        let full = depth(path);
        let level = |(row, code): (usize, &u32)| if *code == ABSENT { floor(row) } else { full };
        let levels: Vec<u8> = codes.iter().enumerate().map(level).collect();
        self.file.codes(leaf, dictionary, codes, Present::Levels(&levels))
    }

    /// Activity, action, disposition and type.
    fn decisions(&mut self) -> Result<(), LakeError> {
        let rows = self.rows;
        let states = self.gather(&rows.state);
        let state = |code: u8| rows.states.get(usize::from(code));
        self.small("activity_id", &states, 0, |code| Some(Number(state(code)?.activity)))?;
        self.small("activity_name", &states, 0, |code| Some(Text(&state(code)?.name)))?;
        self.small("type_uid", &states, 0, |code| Some(Number(i64::from(CLASS_UID) * 100 + state(code)?.activity)))?;
        self.small("type_name", &states, 0, |code| Some(Text(type_name(state(code)?.activity))))?;
        let verdict = |code: u8| Some(state(code)?.verdict);
        self.small("action_id", &states, 0, |code| Some(Number(verdict(code)? as i64)))?;
        self.small("disposition_id", &states, 0, |code| Some(Number(verdict(code)? as i64)))?;
        self.small("action", &states, 0, |code| {
            Some(Text(match verdict(code)? {
                Verdict::Unknown => "Unknown",
                Verdict::Allowed => "Allowed",
                Verdict::Denied => "Denied",
            }))
        })?;
        self.small("disposition", &states, 0, |code| {
            Some(Text(match verdict(code)? {
                Verdict::Unknown => "Unknown",
                Verdict::Allowed => "Allowed",
                Verdict::Denied => "Blocked",
            }))
        })
    }

    fn connection(&mut self) -> Result<(), LakeError> {
        let flags = self.gather(&self.rows.flags);
        let outbound = |flags: u8| flags & OUTBOUND != 0;
        self.small("connection_info.direction_id", &flags, 1, |flags| {
            Some(Number(if outbound(flags) { 2 } else { 1 }))
        })?;
        let direction = |flags| Some(Text(if outbound(flags) { "Outbound" } else { "Inbound" }));
        self.small("connection_info.direction", &flags, 1, direction)?;
        let reach = |flags: u8| flags >> REACH_SHIFT;
        self.small("connection_info.boundary_id", &flags, 1, |flags| Some(Number(reach(flags).into())))?;
        self.small("connection_info.boundary", &flags, 1, |flags| {
            Some(Text(match reach(flags) {
                1 => "Localhost",
                2 => "Internal",
                _ => "External",
            }))
        })?;
        let six = |flags: u8| flags & V6 != 0;
        self.small("connection_info.protocol_ver_id", &flags, 1, |flags| Some(Number(if six(flags) { 6 } else { 4 })))?;
        self.small("connection_info.protocol_ver", &flags, 1, |flags| {
            Some(Text(if six(flags) {
                "Internet Protocol version 6 (IPv6)"
            } else {
                "Internet Protocol version 4 (IPv4)"
            }))
        })?;
        let protocols = self.gather(&self.rows.protocol);
        self.small("connection_info.protocol_num", &protocols, 1, |number| Some(Number(number.into())))?;
        self.small("connection_info.protocol_name", &protocols, 1, |number| protocol_name(number).map(Text))
    }

    fn times(&mut self) -> Result<(), LakeError> {
        let times = self.gather(&self.rows.time);
        self.numbers(&["time", "time_dt"], &times, None)?;
        let states = self.gather(&self.rows.state);
        let activities: Vec<i64> = self.rows.states.iter().map(|state| state.activity).collect();
        let levels = |of: &[i64]| -> Vec<u8> {
            let has: Vec<u8> = activities.iter().map(|activity| u8::from(of.contains(activity))).collect();
            states.iter().map(|state| has.get(usize::from(*state)).copied().unwrap_or_default()).collect()
        };
        let (starts, ends) = (levels(&[OPEN, REFUSE]), levels(&[CLOSE, REFUSE, TRAFFIC]));
        self.numbers(&["start_time", "start_time_dt"], &times, Some(&starts))?;
        self.numbers(&["end_time", "end_time_dt"], &times, Some(&ends))
    }

    fn numbers(&mut self, paths: &[&str], numbers: &[i64], levels: Option<&[u8]>) -> Result<(), LakeError> {
        for path in paths {
            let present = levels.map_or(Present::Always, Present::Levels);
            self.file.numbers(self.leaves.find(path)?, numbers, present)?;
        }
        Ok(())
    }

    fn traffic(&mut self) -> Result<(), LakeError> {
        let columns = &self.rows.counters;
        let value = |column: usize, row: u32| {
            // NONE is -1.
            columns.get(column).and_then(|column| column.get(row as usize)).copied().unwrap_or(NONE).cast_signed()
        };
        let order = self.order;
        let full = order.iter().all(|row| (0..4).all(|column| value(column, *row) >= 0));
        let any: Vec<u8> = if full {
            Vec::new()
        } else {
            order.iter().map(|row| u8::from((0..4).any(|column| value(column, *row) >= 0))).collect()
        };
        let sum = |one: i64, other: i64| if one < 0 || other < 0 { -1 } else { one.saturating_add(other) };
        for (path, column, other) in [
            ("traffic.packets_out", 0, None),
            ("traffic.bytes_out", 1, None),
            ("traffic.packets_in", 2, None),
            ("traffic.bytes_in", 3, None),
            ("traffic.packets", 0, Some(2)),
            ("traffic.bytes", 1, Some(3)),
        ] {
            let numbers: Vec<i64> = match other {
                None => order.iter().map(|row| value(column, *row)).collect(),
                Some(other) => order.iter().map(|row| sum(value(column, *row), value(other, *row))).collect(),
            };
            let levels: Option<Vec<u8>> = (!full)
                .then(|| numbers.iter().zip(&any).map(|(number, any)| if *number < 0 { *any } else { 2 }).collect());
            self.numbers(&[path], &numbers, levels.as_deref())?;
        }
        Ok(())
    }

    fn addresses(&mut self, path: &str, column: &[u32]) -> Result<(), LakeError> {
        let leaf = self.leaves.find(path)?;
        let addresses = &self.rows.addresses;
        let rows: Vec<u32> = self.gather(column);
        // By address its code here, in the order of their coming.
        let mut table = vec![ABSENT; addresses.count()];
        let mut found = Vec::new();
        for address in &rows {
            if let Some(slot) = table.get_mut(*address as usize).filter(|slot| **slot == ABSENT) {
                *slot = u32::try_from(found.len()).unwrap_or(ABSENT);
                found.push(*address);
            }
        }
        // Most are of IPv4, with 17 bytes on average; the few longer ones do not outgrow a page.
        if found.len() * 18 <= MAX_DICTIONARY {
            let (mut dictionary, mut text) = (Dictionary::default(), Vec::with_capacity(64));
            for address in found {
                text.clear();
                addresses.write(address, &mut text);
                dictionary.text(std::str::from_utf8(&text).unwrap_or_default());
            }
            if dictionary.bytes() <= MAX_DICTIONARY {
                let codes: Vec<u32> =
                    rows.iter().map(|address| table.get(*address as usize).copied().unwrap_or_default()).collect();
                return self.file.codes(leaf, &dictionary, &codes, Present::Always);
            }
        }
        self.file.texts(leaf, 45, Present::Always, |row, out| {
            addresses.write(rows.get(row).copied().unwrap_or_default(), out);
        })
    }

    fn ports(&mut self, path: &str, column: &[u16], absent: u8) -> Result<(), LakeError> {
        let leaf = self.leaves.find(path)?;
        let ports = self.gather(column);
        let flags = self.gather(&self.rows.flags);
        let some_absent = flags.iter().any(|flags| flags & absent != 0);
        let levels: Vec<u8> = if some_absent {
            flags.iter().map(|flags| if flags & absent == 0 { 2 } else { 1 }).collect()
        } else {
            Vec::new()
        };
        let present = if some_absent { Present::Levels(&levels) } else { Present::Always };
        let mut table = vec![ABSENT; 65_536];
        let mut dictionary = Dictionary::default();
        let mut codes = Vec::with_capacity(ports.len());
        for (port, flags) in ports.iter().zip(&flags) {
            let Some(slot) = table.get_mut(usize::from(*port)) else { continue };
            if *slot == ABSENT && flags & absent == 0 {
                *slot = self.file.number(leaf, &mut dictionary, i64::from(*port))?;
                if *slot == MAX_PORTS {
                    break;
                }
            }
            codes.push(*slot);
        }
        if codes.len() == ports.len() {
            return self.file.codes(leaf, &dictionary, &codes, present);
        }
        let numbers: Vec<i32> = ports.into_iter().map(i32::from).collect();
        self.file.numbers(leaf, &numbers, present)
    }

    /// What tuples have of their record, flow and group.
    fn shared(&mut self) -> Result<(), LakeError> {
        let contexts = self.gather(&self.rows.context);
        let mut used = vec![false; self.rows.contexts.len()];
        contexts.iter().for_each(|context| {
            if let Some(slot) = used.get_mut(*context as usize) {
                *slot = true;
            }
        });
        let outbound: Vec<bool> = self.order.iter().map(|row| self.is_outbound(*row)).collect();
        let any = |_: usize| true;
        self.text("metadata.product.feature.name", &contexts, &used, |_, info| info.category, any, |_| 2)?;
        self.text("metadata.product.feature.uid", &contexts, &used, |_, info| info.flow_log, any, |_| 3)?;
        self.text("metadata.product.feature.version", &contexts, &used, |_, info| info.version, any, |_| 3)?;
        self.text("cloud.region", &contexts, &used, |_, info| info.region, any, |_| 1)?;
        self.text("cloud.account.uid", &contexts, &used, |_, info| info.subscription, any, |_| 1)?;
        let rows = self.rows;
        let with_rule = |row: usize| {
            let context = contexts.get(row).and_then(|context| rows.contexts.get(*context as usize));
            u8::from(context.is_some_and(|context| context.rule != ABSENT || context.acl != ABSENT))
        };
        self.text("firewall_rule.name", &contexts, &used, |context, _| context.rule, any, with_rule)?;
        self.text("firewall_rule.uid", &contexts, &used, |context, _| context.acl, any, with_rule)?;
        for (side, out) in [("src_endpoint", true), ("dst_endpoint", false)] {
            let here = |row: usize| outbound.get(row) == Some(&out);
            let path = |name: &str| format!("{side}.{name}");
            self.text(&path("mac"), &contexts, &used, |context, _| context.mac, here, |_| 1)?;
            self.text(&path("vpc_uid"), &contexts, &used, |_, info| info.network, here, |_| 1)?;
            self.text(&path("subnet_uid"), &contexts, &used, |_, info| info.subnet, here, |_| 1)?;
            self.text(&path("interface_uid"), &contexts, &used, |_, info| info.interface, here, |_| 1)?;
            self.text(&path("interface_name"), &contexts, &used, |_, info| info.interface_name, here, |_| 1)?;
        }
        self.accounts(&contexts)?;
        self.logged(&contexts)
    }

    fn is_outbound(&self, row: u32) -> bool {
        self.rows.flags.get(row as usize).is_some_and(|flags| flags & OUTBOUND != 0)
    }

    /// A text by context, in those rows that `here` picks.
    fn text(
        &mut self,
        path: &str,
        contexts: &[u32],
        used: &[bool],
        of: impl Fn(&Context, &RecordInfo) -> u32,
        here: impl Fn(usize) -> bool,
        floor: impl Fn(usize) -> u8,
    ) -> Result<(), LakeError> {
        let rows = self.rows;
        let text =
            |context: &Context| rows.records.get(context.record as usize).map_or(ABSENT, |info| of(context, info));
        // By context the text, and by text its code in this column.
        let by_context: Vec<u32> = rows.contexts.iter().map(text).collect();
        let wanted = by_context.iter().zip(used).any(|(text, used)| *used && *text != ABSENT);
        if !wanted {
            return Ok(());
        }
        let mut by_text = vec![ABSENT; rows.texts.count()];
        let mut dictionary = Dictionary::default();
        let mut absent = false;
        let mut codes = Vec::with_capacity(contexts.len());
        for (row, context) in contexts.iter().enumerate() {
            let text = by_context.get(*context as usize).copied().filter(|_| here(row)).unwrap_or(ABSENT);
            let Some(slot) = by_text.get_mut(text as usize) else {
                absent = true;
                codes.push(ABSENT);
                continue;
            };
            if *slot == ABSENT {
                *slot = dictionary.text(rows.texts.get(text).unwrap_or_default());
            }
            codes.push(*slot);
        }
        if dictionary.count() == 0 {
            return Ok(());
        }
        if dictionary.bytes() <= MAX_DICTIONARY {
            return self.codes(path, &dictionary, &codes, absent, floor);
        }
        let full = depth(path);
        let level = |(row, code): (usize, &u32)| if *code == ABSENT { floor(row) } else { full };
        let levels: Vec<u8> = codes.iter().enumerate().map(level).collect();
        self.file.texts(self.leaves.find(path)?, MAX_TEXT, Present::Levels(&levels), |row, out| {
            let context = contexts.get(row).copied().unwrap_or_default();
            let text = by_context.get(context as usize).and_then(|text| rows.texts.get(*text)).unwrap_or_default();
            out.extend_from_slice(text.as_bytes());
        })
    }

    /// The account's type, where it has a uid.
    fn accounts(&mut self, contexts: &[u32]) -> Result<(), LakeError> {
        let rows = self.rows;
        let has: Vec<u8> = rows
            .contexts
            .iter()
            .map(|context| rows.records.get(context.record as usize))
            .map(|info| u8::from(info.is_some_and(|info| info.subscription != ABSENT)))
            .collect();
        let by_row: Vec<u8> =
            contexts.iter().map(|context| has.get(*context as usize).copied().unwrap_or_default()).collect();
        if !by_row.contains(&1) {
            return Ok(());
        }
        self.small("cloud.account.type", &by_row, 1, |has| (has == 1).then_some(Text("Azure Subscription")))?;
        self.small("cloud.account.type_id", &by_row, 1, |has| (has == 1).then_some(Number(99)))
    }

    /// When the record was written.
    fn logged(&mut self, contexts: &[u32]) -> Result<(), LakeError> {
        let rows = self.rows;
        let time = |context: &Context| rows.records.get(context.record as usize).and_then(|info| info.logged);
        let by_context: Vec<i64> = rows.contexts.iter().map(|context| time(context).unwrap_or(NO_TIME)).collect();
        let times: Vec<i64> =
            contexts.iter().map(|context| by_context.get(*context as usize).copied().unwrap_or(NO_TIME)).collect();
        if times.iter().all(|time| *time == NO_TIME) {
            return Ok(());
        }
        let absent = times.contains(&NO_TIME);
        let levels: Vec<u8> =
            if absent { times.iter().map(|time| if *time == NO_TIME { 1 } else { 2 }).collect() } else { Vec::new() };
        let levels = absent.then_some(levels.as_slice());
        self.numbers(&["metadata.logged_time", "metadata.logged_time_dt"], &times, levels)
    }

    fn uids(&mut self) -> Result<(), LakeError> {
        let (rows, order) = (self.rows, self.order);
        self.file.texts(self.leaves.find("metadata.uid")?, 36, Present::Always, |row, out| {
            let row = order.get(row).copied().unwrap_or_default() as usize;
            let context = rows.context.get(row).and_then(|context| rows.contexts.get(*context as usize));
            if let Some(info) = context.and_then(|context| rows.records.get(context.record as usize)) {
                out.extend_from_slice(&info.uid);
            }
            decimal(rows.number.get(row).copied().unwrap_or_default(), out);
        })
    }
}

const NO_TIME: i64 = i64::MIN;

fn decimal(mut number: u32, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 10];
    let mut from = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

/// How many names a path has.
fn depth(path: &str) -> u8 {
    u8::try_from(path.split('.').count()).unwrap_or(u8::MAX)
}

fn type_name(activity: i64) -> &'static str {
    match activity {
        OPEN => "Network Activity: Open",
        CLOSE => "Network Activity: Close",
        REFUSE => "Network Activity: Refuse",
        TRAFFIC => "Network Activity: Traffic",
        OTHER => "Network Activity: Other",
        _ => "Network Activity: Unknown",
    }
}
