//! Names of protocols by their number, lower case, as IANA assigns them ("Assigned Internet Protocol Numbers").

/// The name of a protocol; `None` where IANA has none: numbers that are unassigned, reserved, or stand for any protocol of
/// some sort.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied().filter(|name| !name.is_empty())
}

#[rustfmt::skip]
const NAMES: [&str; 148] = [
    // 0
    "hopopt", "icmp", "igmp", "ggp", "ipv4", "st", "tcp", "cbt", "egp", "igp",
    "bbn-rcc-mon", "nvp-ii", "pup", "argus", "emcon", "xnet", "chaos", "udp", "mux", "dcn-meas",
    // 20
    "hmp", "prm", "xns-idp", "trunk-1", "trunk-2", "leaf-1", "leaf-2", "rdp", "irtp", "iso-tp4",
    "netblt", "mfe-nsp", "merit-inp", "dccp", "3pc", "idpr", "xtp", "ddp", "idpr-cmtp", "tp++",
    // 40
    "il", "ipv6", "sdrp", "ipv6-route", "ipv6-frag", "idrp", "rsvp", "gre", "dsr", "bna",
    "esp", "ah", "i-nlsp", "swipe", "narp", "min-ipv4", "tlsp", "skip", "ipv6-icmp", "ipv6-nonxt",
    // 60
    "ipv6-opts", "", "cftp", "", "sat-expak", "kryptolan", "rvd", "ippc", "", "sat-mon",
    "visa", "ipcv", "cpnx", "cphb", "wsn", "pvp", "br-sat-mon", "sun-nd", "wb-mon", "wb-expak",
    // 80
    "iso-ip", "vmtp", "secure-vmtp", "vines", "iptm", "nsfnet-igp", "dgp", "tcf", "eigrp", "ospfigp",
    "sprite-rpc", "larp", "mtp", "ax.25", "ipip", "micp", "scc-sp", "etherip", "encap", "",
    // 100
    "gmtp", "ifmp", "pnni", "pim", "aris", "scps", "qnx", "a/n", "ipcomp", "snp",
    "compaq-peer", "ipx-in-ip", "vrrp", "pgm", "", "l2tp", "ddx", "iatp", "stp", "srp",
    // 120
    "uti", "smp", "sm", "ptp", "isis over ipv4", "fire", "crtp", "crudp", "sscopmce", "iplt",
    "sps", "pipe", "sctp", "fc", "rsvp-e2e-ignore", "mobility header", "udplite", "mpls-in-ip", "manet", "hip",
    // 140
    "shim6", "wesp", "rohc", "ethernet", "aggfrag", "nsh", "homa", "bit-emu",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (number, name) in [
            (0, "hopopt"),
            (1, "icmp"),
            (6, "tcp"),
            (17, "udp"),
            (20, "hmp"),
            (40, "il"),
            (47, "gre"),
            (50, "esp"),
            (51, "ah"),
            (58, "ipv6-icmp"),
            (60, "ipv6-opts"),
            (69, "sat-mon"),
            (80, "iso-ip"),
            (88, "eigrp"),
            (89, "ospfigp"),
            (94, "ipip"),
            (100, "gmtp"),
            (103, "pim"),
            (112, "vrrp"),
            (115, "l2tp"),
            (120, "uti"),
            (132, "sctp"),
            (139, "hip"),
            (140, "shim6"),
            (143, "ethernet"),
            (147, "bit-emu"),
        ] {
            assert_eq!(protocol_name(number), Some(name), "{number}");
        }
        for number in [61, 63, 68, 99, 114, 148, 252, 253, 254, 255] {
            assert_eq!(protocol_name(number), None, "{number}");
        }
        let names: std::collections::BTreeSet<&str> = (0..=255).filter_map(protocol_name).collect();
        assert_eq!(names.len(), 143);
    }
}
