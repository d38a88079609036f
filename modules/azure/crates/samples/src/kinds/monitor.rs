//! The Activity Log's other categories: what Azure itself reports of rules, scaling, policies, advice, health and alerts.

use super::activity::{OBJECT_ID, TENANT_ID, UPN};
use crate::json::{Json, list, object};
use crate::scene::{Resource, Scene};

const SPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/spn";
const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";

/// What differs between the categories outside `properties`.
struct Head<'e> {
    category: &'static str,
    resource: String,
    operation: &'e str,
    result: &'static str,
    level: &'static str,
    identity: Json,
    correlation: &'e str,
}

fn entry(s: &mut Scene, head: Head<'_>, tenant: &str, properties: Json) -> Json {
    let at = s.moment();
    object! {
        "Level" => s.rng.maybe(40, 4),
        "time" => s.any_time(at),
        "resourceId" => head.resource,
        "category" => head.category,
        "operationName" => if s.rng.percent(40) { head.operation.to_uppercase() } else { head.operation.to_owned() },
        "operationVersion" => s.rng.maybe(30, "2017-03-31"),
        "resultType" => head.result,
        "durationMs" => s.rng.maybe(30, 0),
        "callerIpAddress" => s.rng.maybe(20, "0.0.0.0"),
        "correlationId" => head.correlation,
        "identity" => head.identity,
        "level" => head.level,
        "location" => "global",
        "tenantId" => s.optional(80, tenant),
        "properties" => if s.rng.percent(95) { properties } else { Json::from(properties.text()) },
    }
}

/// A resource's id that ends with the marker: what is found of a resource is named after it.
fn disk(s: &mut Scene, marker: &str) -> (Resource, String) {
    let mut disk = s.resource_of("Microsoft.Compute/disks", "vm-till");
    let parent = disk.id.strip_suffix(&disk.name).map(str::to_owned).unwrap_or_default();
    disk.name = format!("{}_OsDisk_1_{marker}", disk.name);
    disk.id = format!("{parent}{}", disk.name);
    let shown = if s.rng.percent(60) { format!("{}{}", Scene::shout(&parent), disk.name) } else { disk.id.clone() };
    (disk, shown)
}

/// A classic metric rule; the marker is the correlation id, which really is the path of the incident.
pub(super) fn alert(s: &mut Scene, marker: &str) -> Json {
    let site = s.resource_of("Microsoft.Web/sites", "app-shop");
    let rule = s.resource_of("microsoft.insights/alertrules", "slow-shop");
    let (verb, result) =
        s.rng.pick(&[("Activated", "Activated"), ("Resolved", "Resolved"), ("Throttled", "Throttled")]);
    let properties = object! {
        "RuleUri" => &rule.id, "RuleName" => &rule.name, "RuleDescription" => s.optional(50, "The shop answers slowly"),
        "Threshold" => "100000", "WindowSizeInMinutes" => "5", "Aggregation" => "Average", "Operator" => "GreaterThan",
        "MetricName" => s.rng.pick(&["Response time", "CPU", "Http5xx"]), "MetricUnit" => "Count",
    };
    let head = Head {
        category: "Alert",
        resource: s.loud(&site),
        operation: &format!("Microsoft.Insights/AlertRules/{verb}/Action"),
        result,
        level: s.rng.pick(&["Informational", "Informational", "Warning"]),
        identity: object! { "claims" => object! { SPN => "Microsoft.Insights/alertRules" } },
        correlation: marker,
    };
    entry(s, head, site.tenant, properties)
}

/// A decision of the autoscale engine; the marker is the correlation id.
pub(super) fn autoscale(s: &mut Scene, marker: &str) -> Json {
    let setting = s.resource_of("Microsoft.Insights/autoscaleSettings", "scale-web");
    let target = s.resource_of("Microsoft.Compute/virtualMachineScaleSets", "vmss-web");
    let (verb, result) = s.rng.pick(&[
        ("Scaleup", "Succeeded"),
        ("Scaledown", "Succeeded"),
        ("ScaleupResult", "Failed"),
        ("FlappingOccurred", "Succeeded"),
    ]);
    let old = s.rng.between(1, 9);
    let new = old + if verb == "Scaledown" { -1 } else { 2 };
    let counted = verb != "FlappingOccurred";
    let properties = object! {
        "Description" => s.optional(80, format!("Scaling '{}' from {old} to {new}.", target.id)),
        "ResourceName" => &target.id,
        "OldInstancesCount" => if counted { Json::from(old.to_string()) } else { Json::Absent },
        "NewInstancesCount" => if counted { Json::from(new.to_string()) } else { Json::Absent },
        "ActiveAutoscaleProfile" => s.rng.maybe(50, "{\"Name\":\"day\",\"Capacity\":{\"Minimum\":\"1\",\"Maximum\":\"10\"}}"),
        "LastScaleActionTime" => s.rng.maybe(50, "Sun, 01 Mar 2026 01:00:51 GMT"),
    };
    let head = Head {
        category: "Autoscale",
        resource: s.loud(&setting),
        operation: &format!("Microsoft.Insights/AutoscaleSettings/{verb}/Action"),
        result,
        level: if result == "Failed" { "Error" } else { "Informational" },
        identity: object! { "claims" => object! { SPN => "Microsoft.Insights/autoscaleSettings" } },
        correlation: marker,
    };
    entry(s, head, setting.tenant, properties)
}

/// A request or a resource against policy definitions; the marker ends the resource's id, and is the correlation id.
pub(super) fn policy(s: &mut Scene, marker: &str) -> Json {
    let (disk, shown) = disk(s, marker);
    let person = s.person();
    let (verb, effect, title) = s.rng.pick(&[
        ("audit", "Audit", "Managed disks should be encrypted with a customer's key"),
        ("auditIfNotExists", "AuditIfNotExists", "Diagnostics should be on"),
        ("deny", "Deny", "Disks should not allow public access"),
        ("deployIfNotExists", "DeployIfNotExists", "Deploy diagnostics"),
        ("modify", "Modify", "Inherit a tag from the resource group"),
    ]);
    let definition = format!("0a1b2c3d-0010-4000-8000-{:012x}", verb.len());
    let policies = list![object! {
        "policyDefinitionId" => format!("/providers/Microsoft.Authorization/policyDefinitions/{definition}"),
        "policySetDefinitionId" => s.rng.maybe(60, "/providers/Microsoft.Authorization/policySetDefinitions/0a1b2c3d-0010-4000-8000-0000000000ff"),
        "policyDefinitionReferenceId" => s.rng.maybe(60, "contosoBaseline1"),
        "policySetDefinitionName" => s.rng.maybe(60, "contoso-baseline"),
        "policyDefinitionName" => &definition, "policyDefinitionDisplayName" => s.rng.maybe(70, title),
        "policyDefinitionEffect" => effect,
        "policyAssignmentId" => format!("/subscriptions/{}/providers/Microsoft.Authorization/policyAssignments/baseline", disk.subscription),
        "policyAssignmentName" => "baseline",
        "policyAssignmentScope" => format!("/subscriptions/{}", disk.subscription),
    }];
    let properties = object! {
        "entity" => &disk.id, "eventCategory" => "Policy", "isComplianceCheck" => s.rng.pick(&["True", "False"]),
        "message" => format!("Microsoft.Authorization/policies/{verb}/action"), "resourceLocation" => disk.region,
        "ancestors" => "mg-contoso,mg-landing-zones", "policies" => policies.text(),
    };
    let claims =
        object! { UPN => &person.upn, OBJECT_ID => &person.id, TENANT_ID => disk.tenant, "name" => person.name };
    let head = Head {
        category: "Policy",
        resource: shown,
        operation: &format!("Microsoft.Authorization/policies/{verb}/action"),
        result: "Success",
        level: if effect == "Deny" { "Error" } else { "Warning" },
        identity: Json::from(s.rng.maybe(70, object! { "claims" => claims })),
        correlation: marker,
    };
    entry(s, head, disk.tenant, properties)
}

/// Advice about a resource; the marker ends the resource's id, and is the correlation id.
pub(super) fn recommendation(s: &mut Scene, marker: &str) -> Json {
    let (disk, shown) = disk(s, marker);
    let (number, category, impact, name) = s.rng.pick(&[
        (1, "Security", "High", "Disks should refuse public access"),
        (2, "Cost", "Low", "Delete the disk that no machine uses"),
        (3, "HighAvailability", "Medium", "Use zone redundant storage"),
        (4, "Performance", "Medium", "Move to a faster tier"),
    ]);
    let rule = format!("0a1b2c3d-0011-4000-8000-{number:012x}");
    let properties = object! {
        "recommendationSchemaVersion" => "1.0", "recommendationCategory" => category, "recommendationImpact" => impact,
        "recommendationName" => name, "recommendationType" => &rule,
        "recommendationResourceLink" => format!("https://portal.azure.com/#blade/Microsoft_Azure_Expert/RecommendationListBlade/recommendationTypeId/{rule}"),
    };
    let head = Head {
        category: "Recommendation",
        resource: shown,
        operation: s.rng.pick(&[
            "Microsoft.Advisor/recommendations/available/action",
            "Microsoft.Advisor/generateRecommendations/action",
        ]),
        result: s.rng.pick(&["Active", "Active", "Active", "Resolved", "Dismissed"]),
        level: "Informational",
        identity: object! { "claims" => object! { EMAIL => "Microsoft.Advisor" } },
        correlation: marker,
    };
    entry(s, head, disk.tenant, properties)
}

/// The health of one machine; the marker is the correlation id.
pub(super) fn resource_health(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-till");
    let (verb, result, level) = s.rng.pick(&[
        ("Activated", "Active", "Critical"),
        ("Updated", "Updated", "Informational"),
        ("Resolved", "Resolved", "Informational"),
        ("Pending", "InProgress", "Warning"),
    ]);
    let facts = object! {
        "title" => s.optional(80, "Rebooted by the platform"),
        "details" => s.optional(60, "The machine was restarted after a fault of its host."),
        "currentHealthStatus" => s.rng.pick(&["Available", "Degraded", "Unavailable", "Unknown"]),
        "previousHealthStatus" => "Available",
        "type" => "Downtime", "cause" => s.rng.pick(&["PlatformInitiated", "UserInitiated"]),
    };
    // The facts stand one level deeper, or do not.
    let properties = if s.rng.percent(70) {
        object! { "eventCategory" => "ResourceHealth", "eventProperties" => facts }
    } else {
        facts
    };
    let head = Head {
        category: "ResourceHealth",
        resource: s.loud(&machine),
        operation: &format!("Microsoft.Resourcehealth/healthevent/{verb}/action"),
        result,
        level,
        identity: Json::Absent,
        correlation: marker,
    };
    entry(s, head, machine.tenant, properties)
}

/// A mirrored alert; the marker is part of the alert's id, the last of the resource's id, and the correlation id.
pub(super) fn security(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-till");
    let ticks = 2_517_000_000_000_000_000 + s.rng.between(0, 999_999_999_999_999);
    let (verb, result) = s.rng.pick(&[
        ("activate", "Active"),
        ("activate", "Active"),
        ("resolve", "Resolved"),
        ("dismiss", "Succeeded"),
    ]);
    let attacker = s.address();
    let properties = object! {
        "eventCategory" => "Security", "Severity" => s.rng.pick(&["Informational", "Low", "Medium", "High"]),
        "alertDisplayName" => s.rng.maybe(40, "Suspicious process executed"),
        "compromisedEntity" => machine.name.to_uppercase(),
        "intent" => s.rng.pick(&["Execution, Persistence", "[\"InitialAccess\"]", "Unknown"]),
        "resourceType" => "Virtual Machine",
        "ActionTaken" => "Detected", "userName" => "till", "domainName" => "contoso",
        "UserSID" => s.rng.maybe(60, "S-1-5-21-1-2-3-1001"),
        "processName" => s.optional(70, "c:\\windows\\temp\\invoice.pdf.exe"), "processId" => "6988",
        "commandLine" => s.optional(50, "invoice.pdf.exe /q"),
        "parentProcess" => s.optional(60, "explorer.exe"), "parentProcess id" => "1204",
        "attackerIP" => s.rng.maybe(30, attacker),
        "remediationSteps" => s.rng.maybe(30, "[\"Isolate the machine.\",\"Reset the account.\"]"),
    };
    let head = Head {
        category: "Security",
        resource: Scene::shout(&format!(
            "/subscriptions/{}/providers/Microsoft.Security/locations/{}/alerts/",
            machine.subscription, machine.region
        )) + &format!("{ticks}_{marker}"),
        operation: &format!("Microsoft.Security/locations/alerts/{verb}/action"),
        result,
        level: "Informational",
        identity: Json::Absent,
        correlation: marker,
    };
    entry(s, head, machine.tenant, properties)
}

/// What Azure says to its customers; the marker is the tracking id.
pub(super) fn service_health(s: &mut Scene, marker: &str) -> Json {
    let (subscription, tenant) = s.subscription();
    let (incident, level) = s.rng.pick(&[
        ("Incident", "Error"),
        ("Maintenance", "Informational"),
        ("Security", "Warning"),
        ("ActionRequired", "Warning"),
    ]);
    let (service, region) =
        s.rng.pick(&[("App Service", "North Europe"), ("Key Vault", "West Europe"), ("Storage", "Global")]);
    let start = s.moment();
    let stage = s.rng.pick(&["Active", "Resolved", "Planned"]);
    let impacted = list![object! {
        "ImpactedRegions" => list![object! { "RegionName" => region, "RegionId" => region.replace(' ', "").to_lowercase() }],
        "ServiceName" => service, "ServiceId" => "0a1b2c3d-0012-4000-8000-000000000001",
    }];
    let title = format!("{service} - {region} - {stage}");
    let properties = object! {
        "title" => &title, "service" => service, "region" => region, "incidentType" => incident, "trackingId" => marker,
        "communication" => s.rng.maybe(80, "<p><strong>Summary:</strong> some requests are slow.</p>"),
        "impactStartTime" => s.iso(start), "impactMitigationTime" => s.rng.maybe(30, "2026-03-02T04:30:00Z"),
        "impactedServices" => s.rng.maybe(80, impacted.text()), "impactedServicesTableRows" => "<tr><td>one</td></tr>",
        "defaultLanguageTitle" => &title, "stage" => stage, "communicationId" => "11000017", "isHIR" => false,
        "IsSynthetic" => "False", "impactType" => "SubscriptionList", "version" => "0.1.1", "oldRate" => 0.0,
    };
    let correlation = s.rng.guid();
    let head = Head {
        category: "ServiceHealth",
        resource: format!("/subscriptions/{subscription}"),
        operation: &format!("Microsoft.ServiceHealth/{}/action", incident.to_lowercase()),
        result: if stage == "Resolved" { "Resolved" } else { "Active" },
        level,
        identity: object! { "claims" => object! { EMAIL => "health@contoso.example" } },
        correlation: &correlation,
    };
    entry(s, head, tenant, properties)
}
