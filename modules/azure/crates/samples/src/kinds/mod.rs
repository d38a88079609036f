//! One builder a kind of record, grouped by where the records come from. Each takes the scene and the record's marker, and
//! says in its first lines where the marker stands.

mod activity;
mod alert;
mod attack_path;
mod audit;
mod data;
mod entities;
mod event_hub;
mod firewall;
mod firewall_text;
mod gateway;
mod general;
mod graph;
mod grid;
mod kubernetes;
mod monitor;
mod posture;
mod provisioning;
mod risk;
mod signin;
mod subassessment;
mod syslog;
mod workload;

use crate::Kind;
use crate::json::Json;
use crate::scene::Scene;

pub(crate) use activity::operation;
pub use grid::BlobWritten;
pub(crate) use grid::{flow_log, handshake};

/// One record of a kind.
pub(crate) fn record(s: &mut Scene, kind: Kind, marker: &str) -> Json {
    match kind {
        Kind::DefenderAlert if s.rng.percent(85) => alert::flat(s, marker),
        Kind::DefenderAlert => alert::arm(s, marker),
        Kind::DefenderAssessment => posture::assessment(s, marker),
        Kind::DefenderSubassessment => subassessment::subassessment(s, marker),
        Kind::DefenderAttackPath => attack_path::attack_path(s, marker),
        Kind::SecureScore => posture::secure_score(s, marker),
        Kind::SecureScoreControl => posture::secure_score_control(s, marker),
        Kind::RegulatoryCompliance => posture::compliance(s, marker),
        Kind::ActivityAdministrative if s.rng.percent(94) => {
            activity::operation(s, &[marker.to_owned()]).pop().unwrap_or(Json::Null)
        }
        Kind::ActivityAdministrative => activity::elevation(s, marker),
        Kind::ActivityAlert => monitor::alert(s, marker),
        Kind::ActivityAutoscale => monitor::autoscale(s, marker),
        Kind::ActivityPolicy => monitor::policy(s, marker),
        Kind::ActivityRecommendation => monitor::recommendation(s, marker),
        Kind::ActivityResourceHealth => monitor::resource_health(s, marker),
        Kind::ActivitySecurity => monitor::security(s, marker),
        Kind::ActivityServiceHealth => monitor::service_health(s, marker),
        Kind::EntraSignin => signin::signin(s, signin::Log::Interactive, marker),
        Kind::EntraSigninNoninteractive => signin::signin(s, signin::Log::Noninteractive, marker),
        Kind::EntraSigninAdfs => signin::signin(s, signin::Log::Adfs, marker),
        Kind::EntraSigninServicePrincipal => workload::service_principal(s, marker),
        Kind::EntraSigninManagedIdentity => workload::managed_identity(s, marker),
        Kind::EntraAudit => audit::audit(s, marker),
        Kind::EntraProvisioning => provisioning::provisioning(s, marker),
        Kind::EntraRiskyUser => risk::risky_user(s, marker),
        Kind::EntraUserRiskEvent => risk::user_event(s, marker),
        Kind::EntraRiskyServicePrincipal => risk::risky_service_principal(s, marker),
        Kind::EntraServicePrincipalRiskEvent => risk::service_principal_event(s, marker),
        Kind::GraphActivity => graph::graph(s, marker),
        Kind::StorageAccess => data::storage(s, marker),
        Kind::KeyVaultAudit => data::key_vault(s, marker),
        Kind::SqlAudit => data::sql(s, marker),
        Kind::EventHubOperations => event_hub::namespace(s, marker),
        Kind::FirewallApplicationRule => firewall::application_rule(s, marker),
        Kind::FirewallNetworkRule => firewall::network_rule(s, marker),
        Kind::FirewallDns => firewall::dns(s, marker),
        Kind::FirewallIdps => firewall::idps(s, marker),
        Kind::FirewallThreatIntel => firewall::threat_intel(s, marker),
        Kind::FirewallApplicationText => firewall_text::application(s, marker),
        Kind::FirewallNetworkText => firewall_text::network(s, marker),
        Kind::FirewallDnsText => firewall_text::dns(s, marker),
        Kind::AksAudit => kubernetes::audit(s, marker),
        Kind::GatewayAccess => gateway::access(s, marker),
        Kind::GatewayWaf => gateway::waf(s, marker),
        Kind::Syslog => syslog::syslog(s, marker),
        Kind::EventGrid => grid::resource_or_vault(s, marker),
        Kind::EventGridBlob => grid::blob(s, marker),
        Kind::AzureGeneral => general::general(s, marker),
    }
}
