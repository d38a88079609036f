//! Cursors in the table.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tributary_aws::AwsError;

use super::attributes::{Attributes, PK, SK};
use super::{DynamoLedger, GET, PUT, failed};
use crate::cursor::SORT_KEY;
use crate::{Cursor, CursorKey, Cursors, LedgerError};

const VERSION: &str = "version";
const STATE: &str = "state";
const UPDATED_AT: &str = "updatedAt";

fn item_key(key: &CursorKey) -> [(String, AttributeValue); 2] {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    [(PK.to_owned(), text(key.as_str())), (SK.to_owned(), text(SORT_KEY))]
}

fn number<T: std::str::FromStr>(stored: &Attributes, name: &str) -> Option<T> {
    stored.get(name)?.as_n().ok()?.parse().ok()
}

impl DynamoLedger {
    fn cursor(&self, operation: &'static str, key: &CursorKey, stored: &Attributes) -> Result<Cursor, LedgerError> {
        let read = || {
            Some(Cursor {
                version: number(stored, VERSION)?,
                state: stored.get(STATE)?.as_s().ok()?.clone(),
                updated_at: number(stored, UPDATED_AT)?,
                ttl: number(stored, &self.ttl_attribute)?,
            })
        };
        read().ok_or_else(|| {
            let table = &self.table;
            failed(operation, key.as_str(), format!("its item in table {table} is broken: mend or delete it there"))
        })
    }
}

#[async_trait]
impl Cursors for DynamoLedger {
    /// One consistent `GetItem`.
    async fn read(&self, key: &CursorKey) -> Result<Option<Cursor>, LedgerError> {
        let mut backoff = self.backoff.clone();
        loop {
            let get = self.client.get_item().table_name(&self.table).consistent_read(true);
            let get = item_key(key).into_iter().fold(get, |get, (name, value)| get.key(name, value));
            match get.send().await {
                Ok(found) => return found.item().map(|found| self.cursor("read", key, found)).transpose(),
                Err(error) => self.wait("read", key.as_str(), &mut backoff, AwsError::of(GET, &error)).await?,
            }
        }
    }

    /// One conditional `PutItem`.
    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> Result<bool, LedgerError> {
        cursor.check(key)?;
        let Some(before) = cursor.version.checked_sub(1) else { return Ok(false) };
        let mut item: Attributes = item_key(key).into();
        item.insert(VERSION.to_owned(), AttributeValue::N(cursor.version.to_string()));
        item.insert(STATE.to_owned(), AttributeValue::S(cursor.state.clone()));
        item.insert(UPDATED_AT.to_owned(), AttributeValue::N(cursor.updated_at.to_string()));
        item.insert(self.ttl_attribute.clone(), AttributeValue::N(cursor.ttl.to_string()));
        let (condition, name, values) = match before {
            0 => ("attribute_not_exists(#name)", PK, None),
            _ => {
                let value = AttributeValue::N(before.to_string());
                ("#name = :before", VERSION, Some(HashMap::from([(":before".to_owned(), value)])))
            }
        };
        let mut backoff = self.backoff.clone();
        loop {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
            let put = put
                .condition_expression(condition)
                .expression_attribute_names("#name", name)
                .set_expression_attribute_values(values.clone())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match put.send().await {
                Ok(_) => return Ok(true),
                Err(error) => error,
            };
            if let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() {
                let stored = refused.item().map(|stored| self.cursor("swap", key, stored)).transpose()?;
                // An attempt whose answer was lost, by the SDK's retries or ours, finds what it wrote.
                let stored = match stored {
                    Some(stored) => Some(stored),
                    None => Cursors::read(self, key).await?,
                };
                return Ok(stored.as_ref() == Some(cursor));
            }
            self.wait("swap", key.as_str(), &mut backoff, AwsError::of(PUT, &error)).await?;
        }
    }
}
