//! Defender for Cloud alerts: the flat form that continuous export delivers, and the ARM form of the REST API.

use super::entities;
use crate::json::{Json, list, object};
use crate::scene::{Resource, Scene};

/// What an alert is about: code, title, first sentence, intents, severity, resource type, name stem.
type Alert =
    (&'static str, &'static str, &'static str, &'static [&'static str], &'static str, &'static str, &'static str);

const VM: &str = "Microsoft.Compute/virtualMachines";
const AKS: &str = "Microsoft.ContainerService/managedClusters";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const VAULT: &str = "Microsoft.KeyVault/vaults";
const SQL: &str = "Microsoft.Sql/servers";

#[rustfmt::skip]
const ALERTS: [Alert; 16] = [
    ("VM_SuspiciousDownload", "Suspicious download then run", "A file was fetched by curl and run at once on %{Compromised Host}.", &["Execution", "CommandAndControl"], "High", VM, "vm-till"),
    ("VM_BruteForceSuccess", "Successful brute force attack", "A sign-in worked after many failed ones from one address.", &["InitialAccess"], "High", VM, "vm-jump"),
    ("VM_SuspectServiceHost", "Suspicious process detected", "A process named \u{2018}SVCHOST.EXE\u{2019} ran from path: %{Process Path}", &["Execution"], "Medium", VM, "vm-web"),
    ("VM_CryptoMiner", "Digital currency mining related behavior", "Host data shows a command line that miners use.", &["Execution", "Impact"], "High", VM, "vm-batch"),
    ("VM_NewAccount", "Local account created by an unusual process", "An account was added by a process that rarely does so.", &["Persistence"], "Low", VM, "vm-till"),
    ("K8S_PrivilegedContainer", "Privileged container started", "A container that may do anything on its node was started.", &["PrivilegeEscalation"], "Informational", AKS, "aks-shop"),
    ("K8S_ExposedDashboard", "Exposed dashboard detected", "A service of type LoadBalancer opens an administrative interface to everyone.", &["InitialAccess", "Persistence"], "High", AKS, "aks-shop"),
    ("K8S.NODE_MaliciousImage", "Container with a suspicious image", "A running image is known for unwanted use.", &["Execution"], "Medium", AKS, "aks-test"),
    ("Storage.Blob_OpenContainer", "Anonymous read of a container", "A container that allows public reads was listed without credentials.", &["Collection"], "Medium", STORAGE, "stcontoso"),
    ("Storage.Blob_Exfiltration", "Unusual amount of data taken", "Much more data than usual left the account.", &["Exfiltration"], "Low", STORAGE, "stbackup"),
    ("KV_SuspiciousList", "Unusual listing of secrets", "A user listed secrets of many vaults and then read one.", &["CredentialAccess", "Discovery"], "Medium", VAULT, "kv-shop"),
    ("SQL.DB_Injection", "Potential SQL injection", "A statement holds a pattern such as ' OR '1'='1.", &["PreAttack"], "High", SQL, "sql-orders"),
    ("SQL.DB_NewCountry", "Log on from an unusual location", "A principal signed in from a country not seen in 60 days.", &["Exploitation", "Probing"], "Medium", SQL, "sql-orders"),
    ("ARM_SuspiciousRunCommand", "Unusual use of run command", "Run command was called on several machines within minutes.", &["LateralMovement", "DefenseEvasion"], "High", VM, "vm-jump"),
    ("DNS_Tunnel", "Possible data transfer by DNS", "Query names have the length and entropy of encoded data.", &["Exfiltration", "CommandAndControl"], "Low", VM, "vm-web"),
    ("SIMULATED_ServerTest", "Simulated alert for a server", "This is a test. Nothing needs to be done.", &["Unknown"], "Informational", VM, "vm-test"),
];

struct Facts {
    alert: Alert,
    resource: Resource,
    id: String,
    start: i64,
    end: i64,
    generated: i64,
    processed: i64,
    description: String,
    severity: &'static str,
    steps: Vec<String>,
}

fn facts(s: &mut Scene, marker: &str) -> Facts {
    let alert = s.rng.pick(&ALERTS);
    let processed = s.moment();
    let generated = processed - s.rng.between(0, 5_000);
    let end = generated - s.rng.between(0, 600_000);
    // Ids are ticks with a GUID behind them, or a GUID alone.
    let ticks = 2_517_000_000_000_000_000 + s.rng.between(0, 999_999_999_999_999);
    let id = if s.rng.percent(70) { format!("{ticks}_{marker}") } else { marker.to_owned() };
    let more = s.rng.between(220, 850);
    let description = format!("{} {}", alert.2, s.prose(usize::try_from(more).unwrap_or_default()));
    let steps = 1 + s.rng.below(5);
    let steps = (1..=steps).map(|step| format!("{step}. {}", s.prose(60))).collect();
    let severity = if s.rng.percent(85) { alert.4 } else { s.rng.pick(&["Low", "Medium", "High", "Informational"]) };
    let resource = s.resource_of(alert.5, alert.6);
    Facts {
        alert,
        resource,
        id,
        start: end - s.rng.between(0, 3_600_000),
        end,
        generated,
        processed,
        description,
        severity,
        steps,
    }
}

fn intents(s: &mut Scene, alert: &Alert) -> Json {
    if s.rng.percent(5) {
        return s.optional(50, "Unknown");
    }
    Json::from(alert.3.join(", "))
}

/// The flat form.
pub(crate) fn flat(s: &mut Scene, marker: &str) -> Json {
    let f = facts(s, marker);
    let has_resource = s.rng.percent(95);
    let resource_id = has_resource.then(|| f.resource.id.clone());
    let workspace = s.resource_of("Microsoft.OperationalInsights/workspaces", "law-soc");
    let workspace = s.rng.maybe(35, workspace);
    let workspace_id = s.rng.guid();
    let agent = s.rng.guid();
    let mut identifiers = Vec::new();
    if let Some(id) = &resource_id {
        identifiers.push(object! {
            "$id" => "2", "AzureResourceId" => id, "Type" => "AzureResource",
            "AzureResourceTenantId" => s.rng.maybe(60, f.resource.tenant),
        });
    }
    if let Some(workspace) = &workspace {
        identifiers.push(object! {
            "$id" => "3", "WorkspaceId" => &workspace_id, "WorkspaceSubscriptionId" => workspace.subscription,
            "WorkspaceResourceGroup" => workspace.group, "AgentId" => &agent, "Type" => "LogAnalytics",
        });
    }
    identifiers.push(object! { "$id" => "4", "AadTenantId" => f.resource.tenant, "Type" => "AAD" });
    let entities = entities::list(s, &f.resource, 5);
    object! {
        "VendorName" => "Microsoft",
        "AlertType" => f.alert.0,
        "ProductName" => s.rng.pick(&["Microsoft Defender for Cloud", "Microsoft Defender for Cloud", "Azure Security Center"]),
        "StartTimeUtc" => s.iso(f.start),
        "EndTimeUtc" => s.iso(f.end),
        "TimeGenerated" => s.iso(f.generated),
        "ProcessingEndTime" => s.iso(f.processed),
        "Severity" => f.severity,
        "Status" => s.rng.pick(&["New", "New", "New", "New", "InProgress", "Resolved", "Dismissed"]),
        "ProviderAlertStatus" => s.optional(5, "New"),
        "ConfidenceLevel" => s.optional(30, "High"),
        "ConfidenceScore" => if s.rng.percent(60) { Json::Float(0.0) } else { s.optional(40, 0.75) },
        "ConfidenceReasons" => s.optional(3, list!["Seen on several machines"]),
        "Intent" => intents(s, &f.alert),
        "IsIncident" => s.rng.percent(6),
        "SystemAlertId" => &f.id,
        "CorrelationKey" => s.optional(15, "9d1f5b5e27a8"),
        "AzureResourceId" => s.optional(if has_resource { 95 } else { 0 }, f.resource.id.clone()),
        "AzureResourceSubscriptionId" => s.rng.maybe(20, f.resource.subscription),
        "WorkspaceId" => s.optional(if workspace.is_some() { 90 } else { 0 }, workspace_id),
        "WorkspaceSubscriptionId" => s.optional(10, f.resource.subscription),
        "WorkspaceResourceGroup" => s.optional(10, f.resource.group),
        "AgentId" => s.optional(10, agent),
        "CompromisedEntity" => s.optional(90, f.resource.name.to_uppercase()),
        "AlertDisplayName" => f.alert.1,
        "Description" => f.description,
        "Entities" => entities,
        "ExtendedLinks" => s.optional(25, list![object! {
            "Href" => "https://docs.contoso.example/runbooks/alerts", "Category" => "threat_reports",
            "Label" => "Report: what to look for", "Type" => "webLink",
        }]),
        "RemediationSteps" => Json::texts(&f.steps),
        "ExtendedProperties" => extended(s, &f.resource),
        "ResourceIdentifiers" => identifiers,
        "AlertUri" => format!(
            "https://portal.azure.com/#blade/Microsoft_Azure_Security_AzureDefenderForData/AlertBlade/alertId/{}/subscriptionId/{}/resourceGroup/{}/referencedFrom/alertDeepLink/location/{}",
            f.id, f.resource.subscription, f.resource.group, f.resource.region
        ),
    }
}

/// The ARM form: camelCase, but links keep their capitals.
pub(crate) fn arm(s: &mut Scene, marker: &str) -> Json {
    let f = facts(s, marker);
    let id = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Security/locations/{}/alerts/{}",
        f.resource.subscription, f.resource.group, f.resource.region, f.id
    );
    let entities = entities::list(s, &f.resource, 5).renamed(entities::camel);
    let evidence = object! {
        "type" => "tabularEvidences", "title" => "Commands seen", "columns" => list!["Date", "Activity", "Count"],
        "rows" => list![list![s.iso(f.start), "Log on", 4], list![s.iso(f.end), "Run command", false]],
    };
    object! {
        "id" => id,
        "name" => &f.id,
        "type" => s.rng.pick(&["Microsoft.Security/Locations/alerts", "Microsoft.Security/locations/alerts", "microsoft.security/alerts"]),
        "properties" => object! {
            "version" => s.rng.maybe(90, "2022-01-01"),
            "alertType" => f.alert.0,
            "systemAlertId" => &f.id,
            "productComponentName" => s.optional(60, "Servers"),
            "alertDisplayName" => f.alert.1,
            "description" => &f.description,
            "severity" => f.severity,
            "intent" => intents(s, &f.alert),
            "startTimeUtc" => s.iso(f.start),
            "endTimeUtc" => s.iso(f.end),
            "timeGeneratedUtc" => s.iso(f.generated),
            "processingEndTimeUtc" => s.iso(f.processed),
            "resourceIdentifiers" => list![
                object! { "azureResourceId" => &f.resource.id, "type" => "AzureResource" },
                object! { "aadTenantId" => f.resource.tenant, "type" => "AAD" },
            ],
            "remediationSteps" => Json::texts(&f.steps),
            "vendorName" => "Microsoft",
            "status" => s.rng.pick(&["Active", "Active", "InProgress", "Resolved", "Dismissed"]),
            "extendedLinks" => s.optional(40, list![object! {
                "Category" => "threat_reports", "Label" => "Report", "Href" => "https://docs.contoso.example/r", "Type" => "webLink",
            }]),
            "alertUri" => format!("https://portal.azure.com/#blade/Microsoft_Azure_Security/AlertBlade/alertId/{}", f.id),
            "productName" => "Microsoft Defender for Cloud",
            "entities" => entities,
            "isIncident" => s.rng.percent(6),
            "correlationKey" => s.optional(30, "corr-17"),
            "extendedProperties" => extended(s, &f.resource),
            "compromisedEntity" => s.optional(90, f.resource.name.clone()),
            "techniques" => s.optional(40, list!["T1059", "T1105"]),
            "subTechniques" => s.optional(20, list!["T1059.001"]),
            "supportingEvidence" => s.rng.maybe(40, evidence),
        },
    }
}

/// The free dictionary: nearly always texts, now and then a number or JSON in a text.
fn extended(s: &mut Scene, resource: &Resource) -> Json {
    let causes = s.prose(200);
    let steps = object! { "displayValue" => "View the audit events", "kind" => "Link", "value" => "https://portal.azure.com/#logs" };
    object! {
        "resourceType" => s.rng.maybe(80, "Virtual Machine"),
        "Resource type" => s.rng.maybe(15, "Virtual machine"),
        "Compromised Host" => s.rng.maybe(50, resource.name.to_uppercase()),
        "User Name" => s.rng.maybe(50, "CONTOSO\\till"),
        "Suspicious Process" => s.rng.maybe(50, "c:\\windows\\temp\\svchost.exe"),
        "Suspicious Command Line" => s.rng.maybe(50, "powershell -nop -w hidden -enc SQBFAFgA"),
        "PID" => if s.rng.percent(50) { Json::Int(s.rng.between(4, 70_000)) } else { Json::Absent },
        "Client IP Address" => s.rng.maybe(40, format!("203.0.113.{}", resource.name.len())),
        "Investigation steps" => s.rng.maybe(35, steps.text()),
        "Potential causes" => s.rng.maybe(40, causes),
        "ActionTaken" => s.rng.maybe(30, "Detected"),
        "Effective location" => resource.region,
        "killChainIntent" => s.rng.maybe(10, ""),
        "Azure AD user" => s.rng.maybe(25, "N/A (credentials were of a storage key)"),
    }
}
