//! Defender for Cloud's state of posture: recommendations, scores and compliance.

use crate::json::{Json, list, object};
use crate::scene::{Resource, Scene};

/// A recommendation: rule GUID, title, severity, categories, resource type, name stem, what to do.
type Rule =
    (&'static str, &'static str, &'static str, &'static [&'static str], &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(crate) const RULES: [Rule; 12] = [
    ("0a1b2c3d-0004-4000-8000-000000000001", "Management ports should be closed on virtual machines", "High", &["Networking"], "Microsoft.Compute/virtualMachines", "vm", "1. Open the network page.<br>2. Remove the rule that allows port 22 from Any.<br>"),
    ("0a1b2c3d-0004-4000-8000-000000000002", "Secure transfer to storage accounts should be on", "High", &["Data"], "Microsoft.Storage/storageAccounts", "st", "<b>Configuration</b> &gt; Secure transfer: Enabled"),
    ("0a1b2c3d-0004-4000-8000-000000000003", "Diagnostic logs of vaults should be on", "Low", &["Data", "IdentityAndAccess"], "Microsoft.KeyVault/vaults", "kv", "Add a diagnostic setting for the category group 'audit'."),
    ("0a1b2c3d-0004-4000-8000-000000000004", "Machines should have their findings of vulnerabilities resolved", "Medium", &["Compute"], "Microsoft.HybridCompute/machines", "arc", "Update the packages listed in the findings."),
    ("0a1b2c3d-0004-4000-8000-000000000005", "Images of registries should have their findings resolved", "High", &["Compute"], "Microsoft.ContainerRegistry/registries", "cr", "Build the image anew from a current base."),
    ("0a1b2c3d-0004-4000-8000-000000000006", "Accounts with owner permissions should use a second factor", "High", &["IdentityAndAccess"], "Microsoft.Resources/subscriptions", "sub", "Require it by a conditional access policy."),
    ("0a1b2c3d-0004-4000-8000-000000000007", "Containers should not run as root", "Medium", &["Compute", "Container"], "Microsoft.ContainerService/managedClusters", "aks", "Set <code>runAsNonRoot: true</code>."),
    ("0a1b2c3d-0004-4000-8000-000000000008", "Web apps should only be reached over HTTPS", "Medium", &["AppServices"], "Microsoft.Web/sites", "app", "Custom domains &gt; HTTPS Only: On"),
    ("0a1b2c3d-0004-4000-8000-000000000009", "SQL servers should have an administrator of the directory", "High", &["Data"], "Microsoft.Sql/servers", "sql", "Set an administrator on the server's page."),
    ("0a1b2c3d-0004-4000-8000-00000000000a", "Subnets should have a network security group", "Low", &["Networking"], "Microsoft.Network/virtualNetworks", "vnet", "Associate a group with each subnet."),
    ("0a1b2c3d-0004-4000-8000-00000000000b", "Hubs should write resource logs", "Low", &["IoT"], "Microsoft.EventHub/namespaces", "evhns", "N/A"),
    ("0a1b2c3d-0004-4000-8000-00000000000c", "Email notification for high severity alerts should be on", "Low", &[], "Microsoft.Resources/subscriptions", "sub", "Environment settings &gt; Email notifications"),
];

/// What continuous export adds; both names with equal content occur, and so does the older spelling.
pub(crate) fn enrich(s: &mut Scene, record: &mut Json, own: &str) {
    let enrichment = object! {
        "action" => s.rng.pick(&["Write", "Write", "Write", "Insert", "Delete"]),
        "apiVersion" => "2019-01-01", "isSnapshot" => s.rng.percent(40),
    };
    match s.rng.below(10) {
        0..=5 => {
            record.push(own, enrichment.clone());
            record.push("securityEventDataEnrichment", enrichment);
        }
        6..=7 => record.push("securityEventDataEnrichment", enrichment),
        8 => record.push(&crate::json::pascal(own), enrichment.renamed(crate::json::pascal)),
        _ => {}
    }
}

/// One resource evaluated against one rule. The marker ends the resource's name, so it is in the finding's id.
pub(crate) fn assessment(s: &mut Scene, marker: &str) -> Json {
    let (rule, title, severity, categories, kind, stem, todo) = s.rng.pick(&RULES);
    let resource = s.resource_named(kind, format!("{stem}-{marker}"));
    let assessments = s.rng.pick(&["assessments", "assessments", "Assessments"]);
    let id = format!("{}/providers/Microsoft.Security/{assessments}/{rule}", resource.id);
    let changed = s.moment();
    let first = changed - s.rng.between(0, 86_400_000 * 60);
    let code = s.rng.pick(&["Unhealthy", "Unhealthy", "Healthy", "Healthy", "NotApplicable"]);
    let details = details(s, &resource);
    let more = s.rng.between(80, 420);
    let description = s.prose(usize::try_from(more).unwrap_or_default());
    let policy = format!("/providers/Microsoft.Authorization/policyDefinitions/{}", s.rng.guid());
    let additional = match s.rng.below(4) {
        0 => object! { "subAssessmentsLink" => format!("{id}/subAssessments") },
        1 => {
            object! { "tags" => object! { "env" => "prod", "owner" => "shop" }.text(), "kubernetesVersion" => "1.31.2" }
        }
        2 => object! { "CVEs" => list!["CVE-2099-10001", "CVE-2099-10002"].text() },
        _ => Json::Absent,
    };
    let mut record = object! {
        "tenantId" => s.optional(90, resource.tenant),
        "id" => id,
        "name" => rule,
        "type" => s.rng.pick(&["Microsoft.Security/assessments", "Microsoft.Security/assessments", "Microsoft.Security/Assessments"]),
        "location" => s.optional(10, resource.region),
        "kind" => s.optional(5, "assessment"),
        "tags" => s.optional(0, ""),
        "properties" => object! {
            "displayName" => title,
            "status" => object! {
                "code" => code,
                "cause" => if code == "NotApplicable" { s.optional(90, "OffByPolicy") } else { s.optional(10, "N/A") },
                "description" => s.optional(40, "The rule was evaluated on the last state that is known."),
                "statusChangeDate" => s.iso(changed),
                "firstEvaluationDate" => s.iso(first),
            },
            "resourceDetails" => details,
            "metadata" => object! {
                "displayName" => s.rng.maybe(60, title),
                "assessmentType" => s.rng.pick(&["BuiltIn", "BuiltIn", "CustomPolicy", "CustomerManaged"]),
                "policyDefinitionId" => s.optional(80, policy),
                "description" => s.optional(95, description),
                "remediationDescription" => todo,
                "severity" => if s.rng.percent(95) { Json::from(severity) } else { s.optional(50, "Critical") },
                "categories" => Json::texts(categories),
                "threats" => s.optional(80, list!["DataExfiltration", "AccountBreach"]),
                "userImpact" => s.optional(70, "Low"),
                "implementationEffort" => s.optional(70, "Moderate"),
                "preview" => s.rng.maybe(10, true),
            },
            "links" => s.optional(90, object! { "azurePortal" => "portal.azure.com/#blade/Microsoft_Azure_Security/RecommendationsBlade/assessmentKey/x" }),
            "additionalData" => additional,
            "risk" => s.rng.maybe(15, object! { "level" => "High", "riskFactors" => list!["InternetExposure"] }),
        },
    };
    enrich(s, &mut record, "assessmentEventDataEnrichment");
    record
}

fn details(s: &mut Scene, resource: &Resource) -> Json {
    match s.rng.below(4) {
        0 => object! { "Source" => "Azure", "Id" => &resource.id },
        1 => object! {
            "source" => "Azure", "id" => &resource.id, "resourceName" => &resource.name, "resourceType" => resource.kind,
            "resourceProvider" => "Microsoft", "nativeResourceId" => Json::Null,
        },
        _ => object! { "source" => "Azure", "id" => &resource.id },
    }
}

fn score(s: &mut Scene) -> Json {
    let max = s.rng.between(1, 60);
    let share = s.rng.pick(&[0.0, 0.25, 0.6033, 0.5, 1.0, 0.9871]);
    #[allow(clippy::cast_precision_loss)]
    let current = (max as f64 * share * 100.0).round() / 100.0;
    object! { "max" => max, "current" => current, "percentage" => share }
}

/// The score of a subscription; the marker is the score's name. No time of its own.
pub(crate) fn secure_score(s: &mut Scene, marker: &str) -> Json {
    let (subscription, _) = s.subscription();
    let mut record = object! {
        "id" => format!("/subscriptions/{subscription}/providers/Microsoft.Security/secureScores/{marker}"),
        "name" => marker,
        "type" => s.rng.pick(&["Microsoft.Security/secureScores", "Microsoft.Security/SecureScores"]),
        "properties" => object! { "displayName" => s.optional(90, "ASC score"), "score" => score(s), "weight" => s.rng.between(0, 400) },
    };
    enrich(s, &mut record, "securityEventDataEnrichment");
    record
}

/// One control of a score; the marker is the score's name.
pub(crate) fn secure_score_control(s: &mut Scene, marker: &str) -> Json {
    let (subscription, _) = s.subscription();
    let control = s.rng.guid();
    let count = 1 + s.rng.below(8);
    let rules: Vec<Json> = s
        .rng
        .some(&RULES, count)
        .iter()
        .map(|rule| object! { "id" => format!("/providers/Microsoft.Security/assessmentMetadata/{}", rule.0) })
        .collect();
    let definition = object! {
        "id" => format!("/providers/Microsoft.Security/secureScoreControlDefinitions/{control}"), "name" => &control,
        "type" => "Microsoft.Security/secureScoreControlDefinitions",
        "properties" => object! {
            "displayName" => "Restrict unauthorized network access", "description" => s.optional(50, "N/A"),
            "maxScore" => 10, "source" => object! { "sourceType" => "BuiltIn" }, "assessmentDefinitions" => rules,
        },
    };
    let mut record = object! {
        "id" => format!("/subscriptions/{subscription}/providers/Microsoft.Security/secureScores/{marker}/secureScoreControls/{control}"),
        "name" => &control,
        "type" => s.rng.pick(&["Microsoft.Security/secureScores/secureScoreControls", "Microsoft.Security/secureScores/securescorecontrols"]),
        "properties" => object! {
            "displayName" => s.optional(95, "Restrict unauthorized network access"),
            "score" => score(s),
            "healthyResourceCount" => s.rng.between(0, 80),
            "unhealthyResourceCount" => s.rng.between(0, 80),
            "notApplicableResourceCount" => s.rng.between(0, 9),
            "weight" => s.rng.between(0, 400),
            "definition" => s.rng.maybe(80, definition),
        },
    };
    enrich(s, &mut record, "securityEventDataEnrichment");
    record
}

/// One assessment under one control of a standard; the marker is the assessment's name. No time of its own.
pub(crate) fn compliance(s: &mut Scene, marker: &str) -> Json {
    let (subscription, _) = s.subscription();
    let (standard, control) = s.rng.pick(&[
        ("PCI-DSS-4", "1.2.5"),
        ("ISO-27001-2013", "A.9.4.1"),
        ("SOC-2-Type-2", "CC6.1"),
        ("Microsoft-cloud-security-benchmark", "NS-1"),
        ("Contoso internal rules", "DP.2 (a)"),
    ]);
    let (rule, title, ..) = s.rng.pick(&RULES);
    let state = s.rng.pick(&["Passed", "Passed", "Failed", "Failed", "Skipped", "Unsupported", "failed"]);
    let passed = s.rng.between(0, 40);
    let mut record = object! {
        "id" => format!("/subscriptions/{subscription}/providers/Microsoft.Security/regulatoryComplianceStandards/{standard}/regulatoryComplianceControls/{control}/regulatoryComplianceAssessments/{marker}"),
        "name" => marker,
        "type" => "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls/regulatoryComplianceAssessments",
        "properties" => object! {
            "description" => s.optional(95, title),
            "state" => state,
            "passedResources" => passed,
            "failedResources" => s.rng.between(0, 9),
            "skippedResources" => s.rng.between(0, 2),
            "unsupportedResources" => s.rng.maybe(30, 0),
            "assessmentType" => s.optional(90, "Assessment"),
            "assessmentDetailsLink" => s.optional(90, format!("https://management.azure.com/subscriptions/{subscription}/providers/Microsoft.Security/assessments/{rule}")),
            "scope" => s.optional(20, format!("/subscriptions/{subscription}")),
        },
    };
    enrich(s, &mut record, "securityEventDataEnrichment");
    record
}
