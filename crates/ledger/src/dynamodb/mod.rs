//! The ledger of a deployment on AWS: one table, shared by whatever runs there.

mod attributes;
mod cursors;
mod examine;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tributary_aws::{AwsError, Backoff, Kind, SdkConfig};

use crate::{Expected, Item, LeaseRequest, Ledger, LedgerError, PartitionKey};
use attributes::{Attributes, Condition, PK, POSITION, SK, TAKEN, TTL};

const GET: &str = "dynamodb:GetItem";
const PUT: &str = "dynamodb:PutItem";
const SCAN: &str = "dynamodb:Scan";
/// Attempts of a lease against workers that write to the item at the same time. Each of their writes takes a lease or a
/// batch, so the first or second wins; all of them together are a storm that nobody should add to.
const ATTEMPTS: u32 = 20;

/// Items in a DynamoDB table with the keys `pk` (a partition's name) and `sk` (`position`), both strings.
///
/// What it costs, with items of less than 1 KB: a write is one conditional `PutItem` (one write unit, also when the
/// condition fails); a lease is one consistent `GetItem` (one read unit, a fifth of a write's price) and one such write,
/// and only the read when somebody else holds it; a read is one consistent `GetItem`. Nothing else is written: a batch
/// costs one write, as its commit plans the next.
///
/// The table must drop items by the TTL attribute that is chosen here ([`DynamoLedger::ttl_attribute`]); an item that has
/// expired but is still visible is valid.
#[derive(Debug, Clone)]
pub struct DynamoLedger {
    client: Client,
    table: String,
    ttl_attribute: String,
    backoff: Backoff,
}

/// Why a ledger cannot have the TTL attribute that was chosen for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the TTL attribute cannot be {0:?}: name one of 1 to 255 bytes that the ledger's items do not have (by default ttl)"
)]
pub struct InvalidTtlAttribute(String);

impl DynamoLedger {
    /// The ledger in a table. Nothing is asked of it yet.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        let (table, ttl_attribute) = (table.into(), TTL.to_owned());
        Self { client: Client::new(config), table, ttl_attribute, backoff: Backoff::default() }
    }

    /// Keeps the time to live in another attribute than `ttl`: the one by which the table drops items.
    ///
    /// # Errors
    /// When the contract has another use for an attribute of this name, or it is none.
    pub fn ttl_attribute(self, name: &str) -> Result<Self, InvalidTtlAttribute> {
        if name.is_empty() || name.len() > 255 || TAKEN.contains(&name) {
            return Err(InvalidTtlAttribute(name.chars().take(200).collect()));
        }
        Ok(Self { ttl_attribute: name.to_owned(), ..self })
    }

    async fn get(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        let mut backoff = self.backoff.clone();
        loop {
            let get = self.client.get_item().table_name(&self.table).consistent_read(true);
            let get = attributes::key(key.as_str()).into_iter().fold(get, |get, (name, value)| get.key(name, value));
            match get.send().await {
                Ok(found) => return found.item().map(|found| self.item("read", key.as_str(), found)).transpose(),
                Err(error) => self.wait("read", key.as_str(), &mut backoff, AwsError::of(GET, &error)).await?,
            }
        }
    }

    /// Puts an item under a condition.
    async fn put(
        &self,
        operation: &'static str,
        key: &PartitionKey,
        item: &Item,
        condition: &Condition,
    ) -> Result<Put, LedgerError> {
        let attributes = attributes::attributes(key.as_str(), item, &self.ttl_attribute)
            .map_err(|error| failed(operation, key.as_str(), error.to_string()))?;
        let values = (!condition.values.is_empty()).then(|| condition.values.clone());
        let mut backoff = self.backoff.clone();
        loop {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes.clone()));
            let put = put
                .condition_expression(&condition.expression)
                .set_expression_attribute_names(Some(condition.names.clone()))
                .set_expression_attribute_values(values.clone())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match put.send().await {
                Ok(_) => return Ok(Put::Done),
                Err(error) => error,
            };
            if let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() {
                let stored = refused.item().map(|stored| self.item(operation, key.as_str(), stored)).transpose()?;
                return Ok(Put::Refused(stored.map(Box::new)));
            }
            // Trying again is safe whatever became of the first attempt: if it was done, the condition fails, and whoever
            // asked recognises its own write.
            self.wait(operation, key.as_str(), &mut backoff, AwsError::of(PUT, &error)).await?;
        }
    }

    fn item(&self, operation: &'static str, key: &str, stored: &Attributes) -> Result<Item, LedgerError> {
        attributes::item(stored, &self.ttl_attribute).map_err(|error| {
            let table = &self.table;
            failed(operation, key, format!("its item in table {table} is broken ({error}): mend or delete it there"))
        })
    }

    /// Waits when it is throttled or does not get through, which the SDK tried to outwait before; an error when it stays so,
    /// and every other one.
    async fn wait(
        &self,
        operation: &'static str,
        key: &str,
        backoff: &mut Backoff,
        error: AwsError,
    ) -> Result<(), LedgerError> {
        if error.is_transient()
            && let Some(wait) = backoff.next()
        {
            tracing::debug!(table = %self.table, ?error.kind, code = %error.code, ?wait, "{operation} of {key} again");
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        let (table, ttl) = (&self.table, &self.ttl_attribute);
        let create = format!(
            "create the table with the partition key pk and the sort key sk, both strings, and time to live on {ttl}"
        );
        let next = match (error.code.as_str(), error.kind) {
            ("ResourceNotFoundException", _) => format!(": {create}"),
            ("ValidationException", _) if error.detail.contains("key") => format!(": {create}"),
            (_, Kind::Throttled) => ": nothing is lost; raise its capacity, or make it on-demand".to_owned(),
            _ => String::new(),
        };
        let denied = error.is_denied();
        Err(LedgerError { denied, ..failed(operation, key, format!("table {table}: {error}{next}")) })
    }
}

/// What became of a conditional put.
enum Put {
    Done,
    /// The condition failed, against this item where the table says so.
    Refused(Option<Box<Item>>),
}

fn failed(operation: &'static str, key: &str, detail: String) -> LedgerError {
    LedgerError { operation, key: key.to_owned(), detail, denied: false }
}

#[async_trait]
impl Ledger for DynamoLedger {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        self.get(key).await
    }

    /// The greater of two epochs is nothing that one expression of the table can say, so: read, then write if what was
    /// read still stands. When it does not, the refusal brings the item as it is now, and the next attempt begins there.
    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        let mut before = self.get(key).await?;
        for _ in 0..ATTEMPTS {
            let condition = before.as_ref().map_or_else(Condition::no_item, Condition::unchanged);
            let Some(leased) = request.apply(before) else { return Ok(None) };
            before = match self.put("lease", key, &leased, &condition).await? {
                Put::Done => return Ok(Some(leased)),
                // A first attempt whose answer was lost.
                Put::Refused(Some(stored)) if *stored == leased => return Ok(Some(leased)),
                Put::Refused(Some(stored)) => Some(*stored),
                Put::Refused(None) => self.get(key).await?,
            };
        }
        let detail = format!("other workers changed it {ATTEMPTS} times meanwhile: nothing is lost, try again");
        Err(failed("lease", key.as_str(), detail))
    }

    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        Ok(matches!(self.put("write", key, item, &Condition::stands(expected)).await?, Put::Done))
    }

    /// Scans the whole table, other items than partitions' included, page by page: one read unit for each 4 KB of it,
    /// whatever the prefix. For people and their tools, never for a worker.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        let mut items = Vec::new();
        let (mut from, mut backoff) = (None, self.backoff.clone());
        loop {
            let scan =
                self.client.scan().table_name(&self.table).consistent_read(true).set_exclusive_start_key(from.clone());
            let mut scan = scan
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":position", AttributeValue::S(POSITION.to_owned()))
                .filter_expression("#sk = :position");
            // An empty text begins every other, but no table takes it for the beginning of a key.
            if !prefix.is_empty() {
                scan = scan
                    .expression_attribute_names("#pk", PK)
                    .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
                    .filter_expression("#sk = :position AND begins_with(#pk, :prefix)");
            }
            let page = match scan.send().await {
                Ok(page) => page,
                Err(error) => {
                    self.wait("list", prefix, &mut backoff, AwsError::of(SCAN, &error)).await?;
                    continue;
                }
            };
            for stored in page.items() {
                let Some(Ok(partition)) = stored.get(PK).map(AttributeValue::as_s) else { continue };
                items.push((partition.clone(), self.item("list", partition, stored)?));
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
            backoff = self.backoff.clone();
        }
        items.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(items)
    }
}
