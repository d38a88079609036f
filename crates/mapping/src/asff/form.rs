//! The finding as ASFF writes it. The limit of a field is its type.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tributary_ocsf::write_rfc3339;

use crate::bounded::{Id, Text, Url};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(24);
        write_rfc3339(self.0, &mut text);
        serializer.serialize_str(&text)
    }
}

/// A map of texts, in the order in which they were put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Fields<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// `AwsSecurityFinding`: the attributes that a finding provider may set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Form<'a> {
    pub(crate) schema_version: &'static str,
    pub(crate) id: Id<'a, 512>,
    pub(crate) product_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) product_name: Option<Text<'a, 128>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) company_name: Option<Text<'a, 128>>,
    pub(crate) generator_id: Id<'a, 512>,
    pub(crate) aws_account_id: &'a str,
    pub(crate) types: Vec<Text<'a, 256>>,
    pub(crate) first_observed_at: Moment,
    pub(crate) last_observed_at: Moment,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) severity: Severity<'a>,
    pub(crate) title: Text<'a, 256>,
    pub(crate) description: Text<'a, 1024>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remediation: Option<Remediation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_url: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub(crate) product_fields: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<Network<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) threat_intel_indicators: Vec<Indicator<'a>>,
    pub(crate) resources: Vec<Resource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compliance: Option<Compliance<'a>>,
    pub(crate) workflow: Workflow,
    pub(crate) record_state: RecordState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) vulnerabilities: Vec<Vulnerability<'a>>,
    pub(crate) finding_provider_fields: ProviderFields<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Label {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Severity<'a> {
    pub(crate) label: Label,
    pub(crate) normalized: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Text<'a, 64>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProviderFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<u8>,
    pub(crate) severity: ProviderSeverity<'a>,
    pub(crate) types: Vec<Text<'a, 256>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProviderSeverity<'a> {
    pub(crate) label: Label,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Text<'a, 64>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Remediation<'a> {
    pub(crate) recommendation: Recommendation<'a>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Recommendation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Text<'a, 512>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<Url<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Direction {
    In,
    Out,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Network<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<Text<'a, 16>>,
    #[serde(flatten)]
    pub(crate) source: Source<'a>,
    #[serde(flatten)]
    pub(crate) destination: Target<'a>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Source<'a> {
    #[serde(rename = "SourceIpV4", skip_serializing_if = "Option::is_none")]
    pub(crate) v4: Option<std::net::Ipv4Addr>,
    #[serde(rename = "SourceIpV6", skip_serializing_if = "Option::is_none")]
    pub(crate) v6: Option<std::net::Ipv6Addr>,
    #[serde(rename = "SourcePort", skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(rename = "SourceDomain", skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<Text<'a, 128>>,
    #[serde(rename = "SourceMac", skip_serializing_if = "Option::is_none")]
    pub(crate) mac: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Target<'a> {
    #[serde(rename = "DestinationIpV4", skip_serializing_if = "Option::is_none")]
    pub(crate) v4: Option<std::net::Ipv4Addr>,
    #[serde(rename = "DestinationIpV6", skip_serializing_if = "Option::is_none")]
    pub(crate) v6: Option<std::net::Ipv6Addr>,
    #[serde(rename = "DestinationPort", skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(rename = "DestinationDomain", skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<Text<'a, 128>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Process<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Text<'a, 64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<Text<'a, 512>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) launched_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminated_at: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum IndicatorType {
    #[serde(rename = "DOMAIN")]
    Domain,
    #[serde(rename = "HASH_MD5")]
    Md5,
    #[serde(rename = "HASH_SHA1")]
    Sha1,
    #[serde(rename = "HASH_SHA256")]
    Sha256,
    #[serde(rename = "HASH_SHA512")]
    Sha512,
    #[serde(rename = "IPV4_ADDRESS")]
    Ipv4,
    #[serde(rename = "IPV6_ADDRESS")]
    Ipv6,
    #[serde(rename = "URL")]
    Url,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Indicator<'a> {
    pub(crate) r#type: IndicatorType,
    pub(crate) value: Cow<'a, str>,
    pub(crate) last_observed_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Text<'a, 64>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Resource<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) id: Id<'a, 512>,
    pub(crate) partition: &'static str,
    pub(crate) region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Details<'a>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Details<'a> {
    pub(crate) other: Fields<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ComplianceStatus {
    Passed,
    Warning,
    Failed,
    NotAvailable,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Compliance<'a> {
    pub(crate) status: ComplianceStatus,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related_requirements: Vec<Id<'a, 512>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) status_reasons: Vec<StatusReason<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security_control_id: Option<Id<'a, 512>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) associated_standards: Vec<Standard<'a>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatusReason<'a> {
    pub(crate) reason_code: Text<'a, 256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Text<'a, 1024>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Standard<'a> {
    pub(crate) standards_id: Id<'a, 512>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum WorkflowStatus {
    New,
    Notified,
    Resolved,
    Suppressed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Workflow {
    pub(crate) status: WorkflowStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RecordState {
    Active,
    Archived,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Vulnerability<'a> {
    pub(crate) id: Id<'a, 128>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) vulnerable_packages: Vec<Package<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cvss: Vec<Cvss<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related_vulnerabilities: Vec<Id<'a, 128>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor: Option<Vendor<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reference_urls: Vec<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix_available: Option<FixAvailable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epss_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exploit_available: Option<YesNo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum FixAvailable {
    Yes,
    No,
    Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum YesNo {
    Yes,
    No,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Package<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) package_manager: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_path: Option<Text<'a, 512>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_in_version: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remediation: Option<Text<'a, 512>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Cvss<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Text<'a, 256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_vector: Option<Text<'a, 256>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Vendor<'a> {
    pub(crate) name: Text<'a, 32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor_severity: Option<Text<'a, 32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor_created_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor_updated_at: Option<Moment>,
}
