//! What each handler needs of AWS: the one place where it is said.
//!
//! `infra/generated/permissions.json` (from which the roles are made) and the tables of `docs/SECURITY.md` are generated from here; a
//! test compares them, and another one that no call is made that is not declared.

mod operators;

use serde_json::{Value, json};

use crate::Handler;

pub use operators::{Operator, of as of_operator};

/// On what an operation is allowed. The names are those of `permissions.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// The queue of batches.
    EventQueue,
    /// The queue of findings.
    FindingsQueue,
    /// The queue of flow log notifications.
    FlowLogQueue,
    /// The dead letters of the handler's queue.
    DeadLetterQueue,
    /// The ledger's table.
    LedgerTable,
    /// The secret with the hub's credentials.
    HubSecret,
    /// The secret with the flow logs' credentials.
    FlowLogSecret,
    /// Objects of the staging bucket below a prefix.
    Staging(&'static str),
    /// The staging bucket itself.
    StagingBucket,
    /// Objects of the quarantine bucket below a prefix.
    Quarantine(&'static str),
    /// The quarantine bucket itself.
    QuarantineBucket,
    /// The lake's bucket itself.
    LakeBucket,
    /// Objects of the lake below a prefix.
    Lake(&'static str),
    /// Objects of the mapping files' prefix.
    Mappings,
    /// The bucket of the mapping files.
    MappingsBucket,
    /// The key of queues, buckets, table and secrets.
    Key,
    /// The key of the lake.
    LakeKey,
    /// The role that writes to a lake of another account.
    WriterRole,
    /// Security Hub's default product of the account.
    SecurityHubProduct,
    /// The role in a central Security Hub account.
    SecurityHubRole,
    /// The channel of CloudTrail Lake.
    TrailChannel,
    /// Roles that Security Lake makes for sources.
    SourceRoles,
    /// The role of the Glue crawler.
    CrawlerRole,
    /// Every resource: the operation knows no narrower one.
    Any,
}

impl Resource {
    /// Its name and the path below it.
    fn parts(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::EventQueue => ("eventQueue", None),
            Self::FindingsQueue => ("findingsQueue", None),
            Self::FlowLogQueue => ("flowLogQueue", None),
            Self::DeadLetterQueue => ("deadLetterQueue", None),
            Self::LedgerTable => ("ledgerTable", None),
            Self::HubSecret => ("hubSecret", None),
            Self::FlowLogSecret => ("flowLogSecret", None),
            Self::Staging(path) => ("stagingBucket", Some(path)),
            Self::StagingBucket => ("stagingBucket", None),
            Self::Quarantine(path) => ("quarantineBucket", Some(path)),
            Self::QuarantineBucket => ("quarantineBucket", None),
            Self::LakeBucket => ("lakeBucket", None),
            Self::Lake(path) => ("lakeBucket", Some(path)),
            Self::Mappings => ("mappings", Some("*")),
            Self::MappingsBucket => ("mappings", None),
            Self::Key => ("key", None),
            Self::LakeKey => ("lakeKey", None),
            Self::WriterRole => ("writerRole", None),
            Self::SecurityHubProduct => ("securityHubProduct", None),
            Self::SecurityHubRole => ("securityHubRole", None),
            Self::TrailChannel => ("trailChannel", None),
            Self::SourceRoles => ("sourceRoles", None),
            Self::CrawlerRole => ("crawlerRole", None),
            Self::Any => ("*", None),
        }
    }

    fn shown(self) -> String {
        match self.parts() {
            (name, Some(path)) => format!("{name}/{path}"),
            (name, None) => name.to_owned(),
        }
    }
}

/// When a permission is needed; roles of deployments without the feature do not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Always.
    Always,
    /// Credentials are a secret: SAS or client secret.
    Secret,
    /// Credentials are the role's own token.
    Federated,
    /// Findings go to Security Hub.
    SecurityHub,
    /// Security Hub is another account's.
    CentralSecurityHub,
    /// Events go to CloudTrail Lake.
    CloudTrail,
    /// The lake is another account's.
    CentralLake,
    /// Flow logs are on.
    FlowLogs,
    /// Mapping files come from a bucket.
    ChangedMappings,
    /// Encryption is by a customer managed key.
    CustomerKey,
    /// The lake is encrypted by a customer managed key.
    LakeCustomerKey,
}

impl When {
    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Secret => "secret",
            Self::Federated => "federated",
            Self::SecurityHub => "securityHub",
            Self::CentralSecurityHub => "centralSecurityHub",
            Self::CloudTrail => "cloudTrail",
            Self::CentralLake => "centralLake",
            Self::FlowLogs => "flowLogs",
            Self::ChangedMappings => "changedMappings",
            Self::CustomerKey => "customerKey",
            Self::LakeCustomerKey => "lakeCustomerKey",
        }
    }
}

/// One operation on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// As IAM names it, such as `dynamodb:PutItem`.
    pub operation: &'static str,
    /// On what.
    pub resource: Resource,
    /// When.
    pub when: When,
    /// Why.
    pub why: &'static str,
    /// Whether the call is AWS's own, behind a call of ours: nothing of ours ever makes it.
    pub indirect: bool,
    /// A condition of the statement: operator, key, value.
    pub condition: Option<(&'static str, &'static str, &'static str)>,
}

const fn allow(operation: &'static str, resource: Resource, when: When, why: &'static str) -> Permission {
    Permission { operation, resource, when, why, indirect: false, condition: None }
}

const fn behind(operation: &'static str, resource: Resource, when: When, why: &'static str) -> Permission {
    Permission { operation, resource, when, why, indirect: true, condition: None }
}

/// The audience of the token that Entra exchanges.
const AUDIENCE: &str = "api://AzureADTokenExchange";

const WEB_IDENTITY: Permission = Permission {
    operation: "sts:GetWebIdentityToken",
    resource: Resource::Any,
    when: When::Federated,
    why: "the role's own token, which Entra exchanges; for this audience alone",
    indirect: false,
    condition: Some(("StringEquals", "sts:IdentityTokenAudience", AUDIENCE)),
};

const POLL: &[Permission] = &[
    allow("dynamodb:GetItem", Resource::LedgerTable, When::Always, "where a partition stands"),
    allow("dynamodb:PutItem", Resource::LedgerTable, When::Always, "lease, plan and commit, each a conditional write"),
    allow("sqs:SendMessage", Resource::EventQueue, When::Always, "batches"),
    allow("s3:PutObject", Resource::Staging("claims/*"), When::Always, "batches larger than a message"),
    allow("s3:AbortMultipartUpload", Resource::Staging("claims/*"), When::Always, "parts of an upload that failed"),
    allow("secretsmanager:GetSecretValue", Resource::HubSecret, When::Secret, "the hub's credentials"),
    WEB_IDENTITY,
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to send to the encrypted queue and put objects"),
    behind(
        "kms:Decrypt",
        Resource::Key,
        When::CustomerKey,
        "the secret, the table, and to send to the encrypted queue",
    ),
];

const REDRIVE: &str = "a direct invocation that works through its dead letters";

const TRANSFORM: &[Permission] = &[
    allow("sqs:ReceiveMessage", Resource::EventQueue, When::Always, "batches"),
    allow("sqs:DeleteMessage", Resource::EventQueue, When::Always, "batches that are delivered"),
    allow("sqs:ChangeMessageVisibility", Resource::EventQueue, When::Always, "batches that take longer"),
    allow("sqs:GetQueueAttributes", Resource::EventQueue, When::Always, "Lambda's poller and the direct invocation"),
    allow("sqs:ReceiveMessage", Resource::DeadLetterQueue, When::Always, REDRIVE),
    allow("sqs:DeleteMessage", Resource::DeadLetterQueue, When::Always, REDRIVE),
    allow("sqs:ChangeMessageVisibility", Resource::DeadLetterQueue, When::Always, REDRIVE),
    allow("sqs:GetQueueAttributes", Resource::DeadLetterQueue, When::Always, REDRIVE),
    allow("s3:GetObject", Resource::Staging("staged/*"), When::Always, "the outcome that an earlier attempt staged"),
    allow("s3:PutObject", Resource::Staging("staged/*"), When::Always, "the outcome, staged once"),
    allow("s3:GetObject", Resource::Staging("claims/*"), When::Always, "batches larger than a message"),
    allow(
        "s3:ListBucket",
        Resource::StagingBucket,
        When::Always,
        "an object that is not there answers so, not as denied",
    ),
    allow("s3:PutObject", Resource::Quarantine("quarantine/*"), When::Always, "records that did not become events"),
    allow("s3:PutObject", Resource::Lake("ext/*"), When::Always, "the lake's objects"),
    allow("s3:AbortMultipartUpload", Resource::Lake("ext/*"), When::Always, "parts of an upload that failed"),
    allow("s3:AbortMultipartUpload", Resource::Staging("staged/*"), When::Always, "parts of an upload that failed"),
    allow("sts:AssumeRole", Resource::WriterRole, When::CentralLake, "the writer role of a lake in another account"),
    allow("sqs:SendMessage", Resource::FindingsQueue, When::SecurityHub, "findings"),
    allow("sqs:SendMessage", Resource::FlowLogQueue, When::FlowLogs, "notifications of flow log blobs"),
    allow("cloudtrail-data:PutAuditEvents", Resource::TrailChannel, When::CloudTrail, "events for CloudTrail Lake"),
    allow("s3:GetObject", Resource::Mappings, When::ChangedMappings, "changed mapping files"),
    allow("s3:ListBucket", Resource::MappingsBucket, When::ChangedMappings, "which mapping files there are"),
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to put objects and send messages"),
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "to read messages and objects"),
    behind("kms:GenerateDataKey", Resource::LakeKey, When::LakeCustomerKey, "to put the lake's objects"),
    behind("kms:Decrypt", Resource::LakeKey, When::LakeCustomerKey, "to complete an upload in parts"),
];

const IMPORT: &[Permission] = &[
    allow("sqs:ReceiveMessage", Resource::FindingsQueue, When::Always, "findings"),
    allow("sqs:DeleteMessage", Resource::FindingsQueue, When::Always, "findings that were accepted"),
    allow("sqs:ChangeMessageVisibility", Resource::FindingsQueue, When::Always, "findings that take longer"),
    allow("sqs:GetQueueAttributes", Resource::FindingsQueue, When::Always, "Lambda's poller"),
    allow("sqs:SendMessage", Resource::FindingsQueue, When::Always, "those of a message that were not accepted, alone"),
    allow("securityhub:BatchImportFindings", Resource::SecurityHubProduct, When::Always, "findings"),
    allow("sts:AssumeRole", Resource::SecurityHubRole, When::CentralSecurityHub, "the role in the central account"),
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to send to the encrypted queue"),
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "to read the encrypted queue"),
];

const FLOW_LOGS: &[Permission] = &[
    allow("sqs:ReceiveMessage", Resource::FlowLogQueue, When::Always, "notifications"),
    allow("sqs:DeleteMessage", Resource::FlowLogQueue, When::Always, "notifications that are covered"),
    allow("sqs:ChangeMessageVisibility", Resource::FlowLogQueue, When::Always, "blobs that take longer"),
    allow("sqs:GetQueueAttributes", Resource::FlowLogQueue, When::Always, "Lambda's poller"),
    allow("dynamodb:GetItem", Resource::LedgerTable, When::Always, "where a blob stands"),
    allow("dynamodb:PutItem", Resource::LedgerTable, When::Always, "plan and commit, each a conditional write"),
    allow("secretsmanager:GetSecretValue", Resource::FlowLogSecret, When::Secret, "the storage account's credentials"),
    WEB_IDENTITY,
    allow("s3:PutObject", Resource::Lake("ext/*"), When::Always, "the lake's objects"),
    allow("s3:AbortMultipartUpload", Resource::Lake("ext/*"), When::Always, "parts of an upload that failed"),
    allow(
        "s3:PutObject",
        Resource::Quarantine("quarantine/*"),
        When::Always,
        "records and tuples that did not become events",
    ),
    allow("sts:AssumeRole", Resource::WriterRole, When::CentralLake, "the writer role of a lake in another account"),
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to put quarantined records"),
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "the secret, the table, and to read the encrypted queue"),
    behind("kms:GenerateDataKey", Resource::LakeKey, When::LakeCustomerKey, "to put the lake's objects"),
    behind("kms:Decrypt", Resource::LakeKey, When::LakeCustomerKey, "to complete an upload in parts"),
];

const REGISTER: &[Permission] = &[
    allow("securitylake:CreateCustomLogSource", Resource::Any, When::Always, "one source a class"),
    allow("securitylake:DeleteCustomLogSource", Resource::Any, When::Always, "sources that are no longer wanted"),
    allow("securitylake:ListLogSources", Resource::Any, When::Always, "which sources there are, and where they lie"),
    behind("iam:PassRole", Resource::CrawlerRole, When::Always, "the crawler runs in that role"),
    behind("iam:GetRole", Resource::SourceRoles, When::Always, "the writer role of a source"),
    behind("iam:CreateRole", Resource::SourceRoles, When::Always, "the writer role of a source"),
    behind("iam:PutRolePolicy", Resource::SourceRoles, When::Always, "the writer role of a source"),
    behind("iam:DeleteRolePolicy", Resource::SourceRoles, When::Always, "the writer role of a source that goes"),
    behind("iam:DeleteRole", Resource::SourceRoles, When::Always, "the writer role of a source that goes"),
    behind("glue:CreateCrawler", Resource::Any, When::Always, "the crawler of a source"),
    behind("glue:CreateDatabase", Resource::Any, When::Always, "the lake's database"),
    behind("glue:CreateTable", Resource::Any, When::Always, "the table of a source"),
    behind("glue:StartCrawlerSchedule", Resource::Any, When::Always, "the crawler of a source"),
    behind("glue:StopCrawlerSchedule", Resource::Any, When::Always, "the crawler of a source that goes"),
    behind("lakeformation:RegisterResource", Resource::Any, When::Always, "the location of a source"),
    behind("lakeformation:GrantPermissions", Resource::Any, When::Always, "the crawler's access to the table"),
    behind("s3:ListBucket", Resource::Lake(""), When::Always, "the location of a source"),
    behind("s3:PutObject", Resource::Lake("ext/*"), When::Always, "the location of a source"),
    behind("kms:DescribeKey", Resource::LakeKey, When::LakeCustomerKey, "the lake's key"),
    behind("kms:CreateGrant", Resource::LakeKey, When::LakeCustomerKey, "the crawler reads by the lake's key"),
];

/// What a handler needs.
pub fn of(handler: Handler) -> &'static [Permission] {
    match handler {
        Handler::EventHubProcessor => POLL,
        Handler::EventTransformer => TRANSFORM,
        Handler::SecurityHubProcessor => IMPORT,
        Handler::FlowLogProcessor => FLOW_LOGS,
        Handler::SecurityLakeSource => REGISTER,
    }
}

/// `permissions.json`: `{"handlers":{name:[{"operation","resource","path","when","why","indirect","condition"}]},"operators":{command:[…]}}`.
/// Logs are the functions' own affair and not among them.
pub fn json() -> String {
    let permission = |permission: &Permission| {
        let (resource, path) = permission.resource.parts();
        let condition = permission.condition.map(|(operator, key, value)| json!({operator: {key: value}}));
        json!({"operation": permission.operation, "resource": resource, "path": path, "when": permission.when.name(),
            "why": permission.why, "indirect": permission.indirect, "condition": condition})
    };
    let handlers: serde_json::Map<String, Value> = Handler::ALL
        .into_iter()
        .map(|handler| (handler.name().to_owned(), of(handler).iter().map(permission).collect()))
        .collect();
    let operators: serde_json::Map<String, Value> = Operator::ALL
        .into_iter()
        .map(|operator| (operator.name().to_owned(), of_operator(operator).iter().map(permission).collect()))
        .collect();
    format!("{:#}\n", json!({"handlers": handlers, "operators": operators}))
}

/// The tables of `docs/SECURITY.md`.
pub fn markdown() -> String {
    let mut page = String::new();
    let handlers = Handler::ALL.into_iter().map(|handler| (handler.name().to_owned(), of(handler).to_vec()));
    let command = |operator: Operator| (format!("`tributary {}`", operator.name()), of_operator(operator));
    for (name, permissions) in handlers.chain(Operator::ALL.into_iter().map(command)) {
        page.push_str(&format!("### {name}\n\n| operation | on | when | why |\n|---|---|---|---|\n"));
        for permission in permissions {
            let condition =
                permission.condition.map_or_else(String::new, |(_, key, value)| format!(" if `{key}` is `{value}`"));
            let by = if permission.indirect { " (AWS calls it for us)" } else { "" };
            page.push_str(&format!(
                "| `{}` | `{}`{condition} | {} | {}{by} |\n",
                permission.operation,
                permission.resource.shown(),
                permission.when.name(),
                permission.why
            ));
        }
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing stands twice, and nothing is allowed on everything but what may be.
    pub(super) fn assert_narrow(declared: &[Permission], wide: &dyn Fn(&Permission) -> bool) {
        for (index, permission) in declared.iter().enumerate() {
            let same = |other: &Permission| {
                (other.operation, other.resource, other.when)
                    == (permission.operation, permission.resource, permission.when)
            };
            assert!(!declared.iter().take(index).any(same), "{permission:?} stands twice");
            assert!(permission.operation.contains(':') && !permission.why.is_empty());
            let everything = permission.resource == Resource::Any && permission.condition.is_none();
            assert!(!everything || wide(permission), "{permission:?} is allowed on everything");
        }
    }

    #[test]
    fn every_handler_has_its_own_and_none_twice() {
        for handler in Handler::ALL {
            // Only what knows no narrower resource may name every one.
            assert_narrow(of(handler), &|_| handler == Handler::SecurityLakeSource);
        }
    }
}
