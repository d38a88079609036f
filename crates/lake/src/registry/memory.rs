//! Sources of a lake that is a folder: there is nothing to register, so any set of them can be had.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Registered, RegistryError, SourceId, SourceRegistry};

/// Sources in memory, with the locations that Security Lake would give.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    sources: Mutex<BTreeMap<SourceId, Registered>>,
}

impl MemoryRegistry {
    /// No source yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl SourceRegistry for MemoryRegistry {
    async fn create(&self, source: &SourceId, _event_class: &str) -> Result<Option<Registered>, RegistryError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.contains_key(source) {
            let detail = "it is registered already".to_owned();
            return Err(RegistryError::Conflict { source_id: source.clone(), detail });
        }
        let location = crate::location(&source.name, &source.version);
        let registered = Registered { location, role_arn: None };
        sources.insert(source.clone(), registered.clone());
        Ok(Some(registered))
    }

    async fn delete(&self, source: &SourceId) -> Result<(), RegistryError> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<(SourceId, Option<Registered>)>, RegistryError> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sources.iter().map(|(id, registered)| (id.clone(), Some(registered.clone()))).collect())
    }
}
