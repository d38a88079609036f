//! The kinds of record, one a mapping file, and what an event can be about.

use crate::Expected;
use crate::json::Json;
use crate::kinds;
use crate::random::Weighted;
use crate::scene::Scene;

/// How a publisher delivers records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Continuous export of Defender for Cloud: one by one.
    Export,
    /// Diagnostic settings of Azure Monitor: several in one event, of kinds that mix.
    Diagnostic,
    /// Event Grid: an array of one, or of several where batching is on, or the bare notification.
    Grid,
}

/// Declares the kinds: their mapping file's name, their weight among the others, how they come, and the members at the top
/// of a record that tell its kind.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident $name:literal $weight:literal $way:ident [$($told_by:literal)*];)+) => {
        /// The kinds of record that are mapped, by the names of their mapping files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])+ $kind,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name of the kind's mapping file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// How often an event of this kind occurs among the others. With less than 2 of 270, the kind could be
            /// missing among 2,000 events.
            fn weight(self) -> usize {
                match self { $(Self::$kind => $weight,)+ }
            }

            fn way(self) -> Way {
                match self { $(Self::$kind => Way::$way,)+ }
            }

            /// The members at the top that tell a record of this kind from others: no hostile content may stand there.
            pub(crate) fn told_by(self) -> &'static [&'static str] {
                match self { $(Self::$kind => &[$($told_by),*],)+ }
            }
        }
    };
}

kinds! {
    /// Defender for Cloud alert, flat or ARM form.
    DefenderAlert "defender_alert" 42 Export ["type"];
    /// Defender for Cloud recommendation.
    DefenderAssessment "defender_assessment" 14 Export ["type"];
    /// One finding below a recommendation, with or without a CVE.
    DefenderSubassessment "defender_subassessment" 10 Export ["type"];
    /// A chain of weaknesses from an entry point to a target.
    DefenderAttackPath "defender_attack_path" 2 Export ["type"];
    /// Secure score of a subscription.
    SecureScore "secure_score" 3 Export ["type"];
    /// One control of a secure score.
    SecureScoreControl "secure_score_control" 4 Export ["type"];
    /// One assessment under a control of a regulatory standard.
    RegulatoryCompliance "regulatory_compliance_assessment" 5 Export ["type"];
    /// Administrative operation of the Activity Log.
    ActivityAdministrative "activity_administrative" 22 Diagnostic ["category"];
    /// Metric alert rule that changed its state.
    ActivityAlert "activity_alert" 2 Diagnostic ["category"];
    /// Decision of the autoscale engine.
    ActivityAutoscale "activity_autoscale" 2 Diagnostic ["category"];
    /// Effect of Azure Policy.
    ActivityPolicy "activity_policy" 4 Diagnostic ["category"];
    /// Recommendation of Azure Advisor.
    ActivityRecommendation "activity_recommendation" 2 Diagnostic ["category"];
    /// Health of one resource.
    ActivityResourceHealth "activity_resource_health" 2 Diagnostic ["category"];
    /// Defender for Cloud alert as the Activity Log mirrors it.
    ActivitySecurity "activity_security" 4 Diagnostic ["category"];
    /// Incident, maintenance or advisory of Azure.
    ActivityServiceHealth "activity_service_health" 2 Diagnostic ["category"];
    /// Interactive sign-in.
    EntraSignin "entra_signin" 16 Diagnostic ["category"];
    /// Sign-in that a client made with a token from before.
    EntraSigninNoninteractive "entra_signin_noninteractive" 10 Diagnostic ["category"];
    /// Sign-in of an application.
    EntraSigninServicePrincipal "entra_signin_service_principal" 6 Diagnostic ["category"];
    /// Sign-in of an Azure resource.
    EntraSigninManagedIdentity "entra_signin_managed_identity" 4 Diagnostic ["category"];
    /// Sign-in that an AD FS farm answered.
    EntraSigninAdfs "entra_signin_adfs" 2 Diagnostic ["category"];
    /// Change in the directory.
    EntraAudit "entra_audit" 10 Diagnostic ["category"];
    /// Account or group that was provisioned to another system.
    EntraProvisioning "entra_provisioning" 3 Diagnostic ["category"];
    /// User at risk.
    EntraRiskyUser "entra_risky_user" 2 Diagnostic ["category"];
    /// Detection about a user.
    EntraUserRiskEvent "entra_user_risk_event" 3 Diagnostic ["category"];
    /// Application at risk.
    EntraRiskyServicePrincipal "entra_risky_service_principal" 2 Diagnostic ["category"];
    /// Detection about an application.
    EntraServicePrincipalRiskEvent "entra_service_principal_risk_event" 2 Diagnostic ["category"];
    /// Call to Microsoft Graph.
    GraphActivity "graph_activity" 6 Diagnostic ["category"];
    /// Request to Azure Storage; its resource tells it where a relay lost the category.
    StorageAccess "storage_access" 6 Diagnostic ["category" "resourceId"];
    /// Request to Key Vault.
    KeyVaultAudit "key_vault_audit" 5 Diagnostic ["category" "operationName"];
    /// Audit of Azure SQL.
    SqlAudit "sql_audit" 4 Diagnostic ["category"];
    /// Event Hubs or Service Bus namespace.
    EventHubOperations "event_hub_operations" 3 Diagnostic ["category" "EventName" "ActivityName"];
    /// Azure Firewall, application rules; what was asked for, which is no text, tells no kind but a class.
    FirewallApplicationRule "firewall_application_rule" 4 Diagnostic ["category"];
    /// Azure Firewall, network and DNAT rules, flows.
    FirewallNetworkRule "firewall_network_rule" 5 Diagnostic ["category"];
    /// Azure Firewall, DNS.
    FirewallDns "firewall_dns" 3 Diagnostic ["category"];
    /// Azure Firewall, intrusion signatures.
    FirewallIdps "firewall_idps" 2 Diagnostic ["category"];
    /// Azure Firewall, threat intelligence.
    FirewallThreatIntel "firewall_threat_intel" 2 Diagnostic ["category"];
    /// Azure Firewall's application rules as text.
    FirewallApplicationText "firewall_application_text" 2 Diagnostic ["category"];
    /// Azure Firewall's network rules as text.
    FirewallNetworkText "firewall_network_text" 3 Diagnostic ["category"];
    /// Azure Firewall's DNS proxy as text.
    FirewallDnsText "firewall_dns_text" 2 Diagnostic ["category"];
    /// Kubernetes audit of AKS.
    AksAudit "aks_audit" 4 Diagnostic ["category"];
    /// Request that Application Gateway or Front Door answered.
    GatewayAccess "gateway_access" 5 Diagnostic ["category"];
    /// Rule of the web application firewall that matched.
    GatewayWaf "gateway_waf" 3 Diagnostic ["category"];
    /// Line of syslog of a Linux machine.
    Syslog "syslog" 5 Diagnostic ["category" "operationName" "Type"];
    /// Event Grid about a resource or a vault's object.
    EventGrid "event_grid" 3 Grid ["eventType" "type" "specversion"];
    /// Event Grid about a blob.
    EventGridBlob "event_grid_blob" 4 Grid ["eventType" "type" "specversion"];
    /// A record of Azure that no other file claims.
    AzureGeneral "azure_general" 4 Diagnostic ["resourceId" "_ResourceId"];
}

/// What an event can be about: records of a kind, or those that a rule takes out of the way to the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Kind(Kind),
    /// A flow log blob that grew.
    FlowLog,
    /// Event Grid's question to a new endpoint.
    Handshake,
}

impl Subject {
    /// A blob of flow logs grows every minute; an endpoint is new once.
    fn weight(self) -> usize {
        match self {
            Self::Kind(kind) => kind.weight(),
            Self::FlowLog => 12,
            Self::Handshake => 3,
        }
    }

    pub(crate) fn way(self) -> Way {
        match self {
            Self::Kind(kind) => kind.way(),
            Self::FlowLog | Self::Handshake => Way::Grid,
        }
    }

    /// One record about it, and what must become of it.
    pub(crate) fn record(self, s: &mut Scene, marker: String) -> (Json, Expected) {
        match self {
            Self::Kind(kind) => (kinds::record(s, kind, &marker), Expected::Mapped { kind, marker }),
            Self::FlowLog => (kinds::flow_log(s, &marker), Expected::Routed { marker }),
            Self::Handshake => (kinds::handshake(s, &marker), Expected::Skipped { marker }),
        }
    }
}

/// What events are about, and what may be mixed into one.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    /// What the first record of an event is about.
    pub(crate) all: Weighted<Subject>,
    /// What diagnostic settings send.
    pub(crate) diagnostic: Weighted<Subject>,
    /// What Event Grid sends.
    pub(crate) grid: Weighted<Subject>,
}

impl Mix {
    /// Everything.
    pub(crate) fn whole() -> Self {
        let kinds = Kind::ALL.iter().copied().map(Subject::Kind);
        Self::of(kinds.chain([Subject::FlowLog, Subject::Handshake]).collect())
    }

    /// Records of some kinds only.
    pub(crate) fn only(kinds: &[Kind]) -> Self {
        Self::of(kinds.iter().copied().map(Subject::Kind).collect())
    }

    fn of(subjects: Vec<Subject>) -> Self {
        let by = |way: Option<Way>| {
            let chosen = subjects.iter().filter(|subject| way.is_none_or(|way| subject.way() == way));
            Weighted::new(chosen.map(|subject| (subject.weight(), *subject)))
        };
        Self { all: by(None), diagnostic: by(Some(Way::Diagnostic)), grid: by(Some(Way::Grid)) }
    }
}
