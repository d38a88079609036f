//! What an operator's command needs of AWS, and a container that runs the jobs. The hub's side is in `docs/OPERATIONS.md`.

use super::{FLOW_LOGS, IMPORT, POLL, Permission, Resource, TRANSFORM, WEB_IDENTITY, When, allow, behind};

/// A command of `tributary` that works on a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `run`: the jobs in a container.
    Run,
    /// `positions list`.
    Positions,
    /// `positions set` and `reset`.
    PositionsSet,
    /// `redrive`: dead letters.
    Redrive,
    /// `redrive --quarantine`.
    RedriveQuarantine,
    /// `replay`.
    Replay,
    /// `replay --remap`.
    ReplayRemap,
    /// `flowlogs sweep`.
    Sweep,
    /// `doctor`.
    Doctor,
}

impl Operator {
    /// Every command.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Positions,
        Self::PositionsSet,
        Self::Redrive,
        Self::RedriveQuarantine,
        Self::Replay,
        Self::ReplayRemap,
        Self::Sweep,
        Self::Doctor,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Positions => "positions list",
            Self::PositionsSet => "positions set",
            Self::Redrive => "redrive",
            Self::RedriveQuarantine => "redrive --quarantine",
            Self::Replay => "replay",
            Self::ReplayRemap => "replay --remap",
            Self::Sweep => "flowlogs sweep",
            Self::Doctor => "doctor",
        }
    }
}

const BY_NAME: &str = "where the queue is given by name";

/// Whoever reads the hub proves who it is.
const HUB: &[Permission] = &[
    allow("secretsmanager:GetSecretValue", Resource::HubSecret, When::Secret, "the hub's credentials"),
    WEB_IDENTITY,
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "the secret, the table, messages and objects"),
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to send messages and put objects"),
];

const RUN: &[Permission] = &[allow("sqs:GetQueueUrl", Resource::EventQueue, When::Always, BY_NAME)];

const POSITIONS: &[Permission] = &[
    allow("dynamodb:Scan", Resource::LedgerTable, When::Always, "where every partition stands"),
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "to read the encrypted table"),
];

const POSITIONS_SET: &[Permission] = &[
    allow("dynamodb:GetItem", Resource::LedgerTable, When::Always, "where the partition stands"),
    allow("dynamodb:PutItem", Resource::LedgerTable, When::Always, "the move, one conditional write"),
];

const LETTERS: &[Permission] = &[
    allow("sqs:GetQueueUrl", Resource::EventQueue, When::Always, BY_NAME),
    allow("sqs:GetQueueAttributes", Resource::EventQueue, When::Always, "which queue has its dead letters"),
    allow("sqs:SendMessage", Resource::EventQueue, When::Always, "letters, back where they came from"),
    allow("sqs:GetQueueAttributes", Resource::DeadLetterQueue, When::Always, "how many there are"),
    allow("sqs:ReceiveMessage", Resource::DeadLetterQueue, When::Always, "letters"),
    allow("sqs:DeleteMessage", Resource::DeadLetterQueue, When::Always, "letters that were sent again"),
    allow("sqs:ChangeMessageVisibility", Resource::DeadLetterQueue, When::Always, "letters that stay, shown again"),
    behind("kms:Decrypt", Resource::Key, When::CustomerKey, "to read and send encrypted messages"),
    behind("kms:GenerateDataKey", Resource::Key, When::CustomerKey, "to send encrypted messages"),
];

const RECORDS: &[Permission] = &[
    allow("sqs:GetQueueUrl", Resource::EventQueue, When::Always, BY_NAME),
    allow("s3:ListBucket", Resource::QuarantineBucket, When::Always, "which quarantined objects there are"),
    allow("s3:GetObject", Resource::Quarantine("quarantine/*"), When::Always, "quarantined records"),
    allow("s3:PutObject", Resource::Quarantine("quarantine/*"), When::Always, "the old object, without entries"),
    allow("s3:GetObject", Resource::Quarantine("retired/*"), When::Always, "an interrupted redrive"),
    allow("s3:PutObject", Resource::Quarantine("retired/*"), When::Always, "what the old object held"),
];

const REPLAY: &[Permission] = &[
    allow("dynamodb:GetItem", Resource::LedgerTable, When::Always, "where the partition stands"),
    allow("sqs:GetQueueUrl", Resource::EventQueue, When::Always, BY_NAME),
    allow("sqs:GetQueueAttributes", Resource::EventQueue, When::Always, "whether batches are under way"),
    allow("sqs:GetQueueAttributes", Resource::DeadLetterQueue, When::Always, "whether batches are dead letters"),
    allow("sqs:SendMessage", Resource::EventQueue, When::Always, "batches"),
    allow("s3:ListBucket", Resource::StagingBucket, When::Always, "the names of staged outcomes, which are the cuts"),
    allow("s3:GetObject", Resource::Staging("staged/*"), When::Always, "an outcome of which the hub has nothing"),
    allow("s3:PutObject", Resource::Staging("claims/*"), When::Always, "batches larger than a message"),
    allow("s3:AbortMultipartUpload", Resource::Staging("claims/*"), When::Always, "parts of an upload that failed"),
    allow("s3:PutObject", Resource::Lake("ext/*"), When::Always, "objects published from staging"),
    allow("s3:AbortMultipartUpload", Resource::Lake("ext/*"), When::Always, "parts of an upload that failed"),
    allow("s3:PutObject", Resource::Quarantine("quarantine/*"), When::Always, "quarantine published from staging"),
    allow("sts:AssumeRole", Resource::WriterRole, When::CentralLake, "the writer role of a lake in another account"),
    behind("kms:GenerateDataKey", Resource::LakeKey, When::LakeCustomerKey, "to put the lake's objects"),
    behind("kms:Decrypt", Resource::LakeKey, When::LakeCustomerKey, "to complete an upload in parts"),
];

const REMAP: &[Permission] = &[
    allow("s3:GetObject", Resource::Staging("remapping/*"), When::Always, "the note of a remapping at work"),
    allow("s3:PutObject", Resource::Staging("remapping/*"), When::Always, "the note that keeps a second one away"),
    allow(
        "s3:DeleteObject",
        Resource::Staging("*"),
        When::Always,
        "the note, and outcomes of redrives that are replaced",
    ),
    allow("s3:DeleteObject", Resource::Lake("ext/*"), When::Always, "objects that the new outcome lacks"),
    allow(
        "s3:DeleteObject",
        Resource::Quarantine("quarantine/*"),
        When::Always,
        "quarantine that the new outcome lacks",
    ),
    allow(
        "s3:GetObject",
        Resource::Quarantine("quarantine/*"),
        When::Always,
        "quarantine of redrives that are replaced",
    ),
    allow("s3:ListBucket", Resource::QuarantineBucket, When::Always, "an object that is not there answers so"),
];

const UPLOAD: &str = "an upload that is begun and given up shows that objects may be put; none is";
const RULES: &str = "whether parts of uploads that failed are dropped, and what is kept for how long";
const PUBLIC: &str = "whether public access is blocked";
const THERE: &str = "whether the bucket is there, and in which region";

const DOCTOR: &[Permission] = &[
    allow("dynamodb:DescribeTable", Resource::LedgerTable, When::Always, "the table's keys"),
    allow(
        "dynamodb:DescribeTimeToLive",
        Resource::LedgerTable,
        When::Always,
        "the attribute by which items are dropped",
    ),
    allow("dynamodb:GetItem", Resource::LedgerTable, When::Always, "whether items may be read"),
    allow(
        "dynamodb:PutItem",
        Resource::LedgerTable,
        When::Always,
        "whether items may be written: a condition that cannot hold",
    ),
    allow("sqs:GetQueueUrl", Resource::EventQueue, When::Always, BY_NAME),
    allow("sqs:GetQueueAttributes", Resource::EventQueue, When::Always, "sizes, times and dead letters of the queue"),
    allow("sqs:GetQueueAttributes", Resource::DeadLetterQueue, When::Always, "how many there are, and when they end"),
    allow("sqs:ReceiveMessage", Resource::DeadLetterQueue, When::Always, "how old they are; none is hidden"),
    allow("sqs:GetQueueAttributes", Resource::FindingsQueue, When::SecurityHub, "as of the queue of batches"),
    allow("sqs:GetQueueAttributes", Resource::FlowLogQueue, When::FlowLogs, "as of the queue of batches"),
    allow(
        "secretsmanager:GetSecretValue",
        Resource::FlowLogSecret,
        When::FlowLogs,
        "the storage account's credentials",
    ),
    allow("s3:ListBucket", Resource::StagingBucket, When::Always, THERE),
    allow("s3:PutObject", Resource::Staging("claims/*"), When::Always, UPLOAD),
    allow("s3:AbortMultipartUpload", Resource::Staging("claims/*"), When::Always, UPLOAD),
    allow("s3:GetLifecycleConfiguration", Resource::StagingBucket, When::Always, RULES),
    allow("s3:GetBucketPublicAccessBlock", Resource::StagingBucket, When::Always, PUBLIC),
    allow("s3:ListBucket", Resource::QuarantineBucket, When::Always, THERE),
    allow("s3:PutObject", Resource::Quarantine("quarantine/*"), When::Always, UPLOAD),
    allow("s3:AbortMultipartUpload", Resource::Quarantine("quarantine/*"), When::Always, UPLOAD),
    allow("s3:GetLifecycleConfiguration", Resource::QuarantineBucket, When::Always, RULES),
    allow("s3:GetBucketPublicAccessBlock", Resource::QuarantineBucket, When::Always, PUBLIC),
    allow("s3:ListBucket", Resource::LakeBucket, When::Always, THERE),
    allow("s3:PutObject", Resource::Lake("ext/*"), When::Always, UPLOAD),
    allow("s3:AbortMultipartUpload", Resource::Lake("ext/*"), When::Always, UPLOAD),
    allow("s3:GetLifecycleConfiguration", Resource::LakeBucket, When::Always, RULES),
    allow("s3:GetBucketPublicAccessBlock", Resource::LakeBucket, When::Always, PUBLIC),
    allow("sts:AssumeRole", Resource::WriterRole, When::CentralLake, "the writer role of a lake in another account"),
    allow("sts:AssumeRole", Resource::SecurityHubRole, When::CentralSecurityHub, "the role in the central account"),
    allow("securityhub:DescribeHub", Resource::Any, When::SecurityHub, "whether it is enabled where findings go"),
    allow("cloudtrail:GetChannel", Resource::TrailChannel, When::CloudTrail, "whether the channel is there"),
    allow("s3:GetObject", Resource::Mappings, When::ChangedMappings, "changed mapping files"),
    allow("s3:ListBucket", Resource::MappingsBucket, When::ChangedMappings, "which mapping files there are"),
    behind("kms:GenerateDataKey", Resource::LakeKey, When::LakeCustomerKey, "to begin an upload"),
];

/// What a command needs.
pub fn of(operator: Operator) -> Vec<Permission> {
    // A worker gives messages back to the queue's own dead letters, and never takes those.
    let not_letters = |list: &'static [Permission]| {
        list.iter().copied().filter(|permission| permission.resource != Resource::DeadLetterQueue).collect::<Vec<_>>()
    };
    // In a container, what a handler always needs is needed where its feature is on.
    let where_on = |list: &'static [Permission], when: When| {
        list.iter().map(move |permission| match permission.when {
            When::Always => Permission { when, ..*permission },
            _ => *permission,
        })
    };
    let import = where_on(IMPORT, When::SecurityHub).collect();
    let flows = where_on(FLOW_LOGS, When::FlowLogs).collect();
    let swept =
        || FLOW_LOGS.iter().copied().filter(|permission| permission.resource != Resource::FlowLogQueue).collect();
    let transform = || not_letters(TRANSFORM);
    let lists: Vec<Vec<Permission>> = match operator {
        Operator::Run => vec![RUN.to_vec(), POLL.to_vec(), transform(), import, flows],
        Operator::Positions => vec![POSITIONS.to_vec()],
        Operator::PositionsSet => vec![POSITIONS_SET.to_vec(), HUB.to_vec()],
        Operator::Redrive => vec![LETTERS.to_vec()],
        Operator::RedriveQuarantine => vec![RECORDS.to_vec(), transform()],
        Operator::Replay => vec![REPLAY.to_vec(), HUB.to_vec()],
        Operator::ReplayRemap => vec![REPLAY.to_vec(), REMAP.to_vec(), transform(), HUB.to_vec()],
        Operator::Sweep => vec![swept()],
        Operator::Doctor => vec![DOCTOR.to_vec(), HUB.to_vec()],
    };
    let mut all: Vec<Permission> = Vec::new();
    for permission in lists.into_iter().flatten() {
        let same = |other: &Permission| {
            (other.operation, other.resource) == (permission.operation, permission.resource)
                && (other.when == permission.when || other.when == When::Always)
        };
        if !all.iter().any(same) {
            all.push(permission);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_narrow;
    use super::*;

    #[test]
    fn nothing_stands_twice_and_nothing_is_wide() {
        for operator in Operator::ALL {
            assert_narrow(&of(operator), &|permission| permission.operation == "securityhub:DescribeHub");
        }
    }

    #[test]
    fn who_only_looks_may_delete_nothing() {
        for operator in [Operator::Positions, Operator::Doctor, Operator::Replay] {
            assert!(of(operator).iter().all(|permission| !permission.operation.contains("Delete")), "{operator:?}");
        }
    }
}
