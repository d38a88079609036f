//! Syslog of Linux machines, by three senders: the Azure Monitor Agent, the older diagnostic extension, a workspace's
//! export. No line has an id; the marker is `relayId`.

use crate::json::{Json, object};
use crate::scene::Scene;

/// A line: process, facility, severity and text.
fn line(s: &mut Scene) -> (&'static str, &'static str, &'static str, String) {
    let (from, port) = (s.ipv4(), s.port());
    match s.rng.below(12) {
        0..=1 => (
            "sshd",
            "authpriv",
            "info",
            format!("Accepted publickey for ada from {from} port {port} ssh2: ED25519 SHA256:AAAAexample"),
        ),
        2..=3 => {
            ("sshd", "authpriv", "info", format!("Failed password for invalid user admin from {from} port {port} ssh2"))
        }
        4 => ("sshd", "auth", "info", format!("Disconnected from user ada {from} port {port}")),
        5 => (
            "sudo",
            "authpriv",
            "notice",
            "     ada : TTY=pts/0 ; PWD=/home/ada ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx".to_owned(),
        ),
        6 => (
            "sudo",
            "authpriv",
            "alert",
            "     eve : user NOT in sudoers ; TTY=pts/1 ; PWD=/home/eve ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow"
                .to_owned(),
        ),
        7 => (
            "useradd",
            "authpriv",
            "info",
            "new user: name=bob, UID=1002, GID=1002, home=/home/bob, shell=/bin/bash, from=/dev/pts/0".to_owned(),
        ),
        8 => ("usermod", "authpriv", "info", "add 'bob' to group 'sudo'".to_owned()),
        9 => ("groupadd", "authpriv", "info", "new group: name=tills, GID=1010".to_owned()),
        10 => ("CRON", "cron", "info", "(root) CMD (run-parts /etc/cron.hourly)".to_owned()),
        _ => ("kernel", "kern", "crit", "Out of memory: Killed process 4242 (java)".to_owned()),
    }
}

/// One line.
pub(super) fn syslog(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-web");
    let (process, facility, severity, text) = line(s);
    let at = s.moment();
    let arrived = (at + s.rng.between(0, 60_000)).min(s.base);
    let pid = s.rng.between(300, 9_000);
    match s.rng.below(10) {
        0..=1 => object! {
            "relayId" => marker, "time" => s.any_time(arrived), "resourceId" => machine.id, "category" => facility,
            "level" => severity, "operationName" => "LinuxSyslogEvent",
            "properties" => object! {
                "ident" => process, "Ignore" => "syslog", "Facility" => facility, "Severity" => severity,
                "EventTime" => s.iso(at), "SendingHost" => "localhost", "Msg" => text,
                "hostname" => machine.name, "pid" => s.rng.maybe(80, pid.to_string()),
                "FluentdIngestTimestamp" => s.iso(arrived),
            },
        },
        2 => object! {
            "relayId" => marker, "TimeGenerated" => s.iso(arrived), "EventTime" => s.iso(at),
            "Computer" => &machine.name, "HostName" => &machine.name, "HostIP" => "Unknown IP",
            "Facility" => facility, "SeverityLevel" => severity, "ProcessName" => process, "ProcessID" => pid,
            "SyslogMessage" => text, "SourceSystem" => "Linux",
            "TenantId" => s.rng.guid(), "Type" => "Syslog", "_ResourceId" => machine.id.to_lowercase(),
            "_SubscriptionId" => machine.subscription,
        },
        _ => object! {
            "relayId" => marker, "time" => s.any_time(arrived), "resourceId" => machine.id, "category" => "Syslog",
            "location" => machine.region, "tenantId" => s.optional(90, machine.tenant),
            "EventTime" => s.iso(at), "Facility" => facility, "SeverityLevel" => severity, "HostName" => &machine.name,
            "HostIP" => s.ipv4(), "Computer" => &machine.name,
            "ProcessName" => process, "ProcessID" => if process == "kernel" { Json::from("") } else { Json::Int(pid) },
            "SyslogMessage" => text,
        },
    }
}
