//! Whether the table is what the ledger needs, and may be used.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeyType, ScalarAttributeType, TableDescription, TimeToLiveStatus};
use tributary_aws::{AwsError, Kind};
use tributary_telemetry::{Check, CheckState};

use super::attributes::{PK, POSITION, SK};
use super::{DynamoLedger, GET, PUT};

const TABLE: &str = "ledger: table";
const LIFE: &str = "ledger: time to live";
const READ: &str = "ledger: read";
const WRITE: &str = "ledger: write";
const DESCRIBE: &str = "dynamodb:DescribeTable";
const DESCRIBE_LIFE: &str = "dynamodb:DescribeTimeToLive";
/// No partition's name holds no `#`.
const NOBODY: &str = "tributary-doctor";

impl DynamoLedger {
    /// Looks at the table: its keys, its TTL attribute, and whether items may be read and written. The write is one whose
    /// condition cannot hold, so that nothing is changed.
    pub async fn examine(&self) -> Vec<Check> {
        let table = self.examine_table().await;
        if table.state == CheckState::Failed {
            let skipped = [LIFE, READ, WRITE].map(|name| Check::skipped(name, format!("it needs {TABLE}, see there")));
            return [table].into_iter().chain(skipped).collect();
        }
        let (life, read, write) = tokio::join!(self.examine_life(), self.examine_read(), self.examine_write());
        vec![table, life, read, write]
    }

    fn create(&self) -> String {
        let (table, ttl) = (&self.table, &self.ttl_attribute);
        format!(
            "aws dynamodb create-table --table-name {table} --billing-mode PAY_PER_REQUEST --attribute-definitions \
             AttributeName={PK},AttributeType=S AttributeName={SK},AttributeType=S --key-schema \
             AttributeName={PK},KeyType=HASH AttributeName={SK},KeyType=RANGE, then aws dynamodb update-time-to-live \
             --table-name {table} --time-to-live-specification Enabled=true,AttributeName={ttl}"
        )
    }

    /// A call that failed.
    fn refused(&self, name: &str, error: &AwsError) -> Check {
        let AwsError { operation, code, detail, .. } = error;
        let found = format!("table {}: {operation}: {code} {detail}", self.table);
        match error.kind {
            _ if code == "ResourceNotFoundException" => Check::failed(name, found, self.create()),
            Kind::Denied => Check::failed(
                name,
                found,
                format!("grant {operation} on the table to whoever runs this, and see that it has credentials"),
            ),
            Kind::Throttled => Check::warning(name, found, "raise the table's capacity, or make it on-demand"),
            _ => Check::failed(name, found, "see that the table, its region and AWS_ENDPOINT_URL_DYNAMODB are right"),
        }
    }

    async fn examine_table(&self) -> Check {
        let description = match self.client.describe_table().table_name(&self.table).send().await {
            Ok(answer) => answer.table,
            Err(error) => {
                let error = AwsError::of(DESCRIBE, &error);
                // The workers do without.
                return match error.is_denied() {
                    true => Check::skipped(TABLE, format!("{DESCRIBE} is not granted: its keys are not known")),
                    false => self.refused(TABLE, &error),
                };
            }
        };
        let Some(description) = description else { return Check::skipped(TABLE, "the answer describes none") };
        let keys = keys(&description);
        match keys == [(PK, "HASH", "S"), (SK, "RANGE", "S")] {
            true => Check::ok(TABLE, format!("{}, keys {PK} and {SK}", self.table)),
            false => {
                let keys: Vec<String> =
                    keys.into_iter().map(|(name, kind, type_)| format!("{name} {kind} {type_}")).collect();
                let found =
                    format!("table {} has the keys {}, not {PK} HASH S, {SK} RANGE S", self.table, keys.join(", "));
                Check::failed(TABLE, found, format!("name another table, or make one: {}", self.create()))
            }
        }
    }

    async fn examine_life(&self) -> Check {
        let (table, ttl) = (&self.table, &self.ttl_attribute);
        let description = match self.client.describe_time_to_live().table_name(table).send().await {
            Ok(answer) => answer.time_to_live_description,
            Err(error) => {
                let error = AwsError::of(DESCRIBE_LIFE, &error);
                return Check::skipped(LIFE, format!("{DESCRIBE_LIFE}: {} {}", error.code, error.detail));
            }
        };
        let enable = format!(
            "aws dynamodb update-time-to-live --table-name {table} --time-to-live-specification \
             Enabled=true,AttributeName={ttl}"
        );
        let on = description
            .as_ref()
            .and_then(|description| description.time_to_live_status())
            .is_some_and(|status| matches!(status, TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
        let attribute = description.as_ref().and_then(|description| description.attribute_name());
        match attribute {
            Some(attribute) if on && attribute == ttl => Check::ok(LIFE, format!("on, by {ttl}")),
            Some(attribute) if on => {
                let found = format!("on, by {attribute}, and the ledger writes {ttl}: items are never dropped");
                let remedy = format!(
                    "let the ledger write {attribute} (dynamodb:{table}?ttl={attribute}, CHECKPOINT_TTL_ATTRIBUTE)"
                );
                Check::warning(LIFE, found, remedy)
            }
            _ => Check::warning(LIFE, "off: items of hubs that are gone stay for good", enable),
        }
    }

    async fn examine_read(&self) -> Check {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        match get.key(PK, nobody()).key(SK, position()).send().await {
            Ok(_) => Check::ok(READ, GET),
            Err(error) => self.refused(READ, &AwsError::of(GET, &error)),
        }
    }

    async fn examine_write(&self) -> Check {
        let put = self.client.put_item().table_name(&self.table).item(PK, nobody()).item(SK, position());
        let put = put.expression_attribute_names("#pk", PK);
        // No item is there and not there.
        match put.condition_expression("attribute_exists(#pk) AND attribute_not_exists(#pk)").send().await {
            Ok(_) => Check::failed(
                WRITE,
                "a write whose condition cannot hold was done: the table does not judge conditions",
                format!("use DynamoDB itself, and delete the item {NOBODY}"),
            ),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {
                    Check::ok(WRITE, format!("{PUT}, by a condition that cannot hold: nothing was written"))
                }
                _ => self.refused(WRITE, &AwsError::of(PUT, &error)),
            },
        }
    }
}

fn nobody() -> AttributeValue {
    AttributeValue::S(NOBODY.to_owned())
}

fn position() -> AttributeValue {
    AttributeValue::S(POSITION.to_owned())
}

/// Name, kind and type of the keys.
fn keys(description: &TableDescription) -> Vec<(&str, &str, &str)> {
    let type_of = |name: &str| {
        let definition = description.attribute_definitions().iter().find(|one| one.attribute_name() == name);
        definition.map_or("?", |definition| match definition.attribute_type() {
            ScalarAttributeType::S => "S",
            ScalarAttributeType::N => "N",
            ScalarAttributeType::B => "B",
            _ => "?",
        })
    };
    let kind = |kind: &KeyType| match kind {
        KeyType::Hash => "HASH",
        KeyType::Range => "RANGE",
        _ => "?",
    };
    let keys = description.key_schema().iter();
    keys.map(|key| (key.attribute_name(), kind(key.key_type()), type_of(key.attribute_name()))).collect()
}
