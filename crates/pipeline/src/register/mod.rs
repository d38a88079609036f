//! The register-sources job: one custom source of the lake for each enabled class.
//!
//! Whatever state an earlier attempt left, the result is the same: a source that is there is taken as it is, one that is
//! missing is made, one that is no longer wanted is removed. Sources are made one after another: Security Lake refuses a second
//! change of a lake while one is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};
use tributary_aws::Backoff;
use tributary_lake::{MAX_SOURCE_NAME, Registered, RegistryError, SourceId, SourceRegistry, source_name};
use tributary_ocsf::{Schema, Version};

/// Between two looks at what is not ready, or two attempts against a conflict.
const WAITS: Backoff = Backoff::new(u32::MAX, Duration::from_millis(500), Duration::from_secs(10));
/// Most sources of one account in one region.
const MAX_SOURCES: usize = 50;

/// Which sources there shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSet {
    /// What their names begin with.
    pub prefix: String,
    /// The OCSF version of their events.
    pub version: Version,
    /// The classes, by `class_uid`.
    pub classes: BTreeSet<i32>,
}

impl SourceSet {
    /// The sources with their classes, checked against what Security Lake takes.
    fn sources(&self) -> Result<BTreeMap<i32, (SourceId, String)>, RegisterError> {
        let schema = Schema::get(self.version);
        let of = |class: i32| {
            let unknown = || RegisterError::Class { class, version: self.version };
            let name = source_name(&self.prefix, class).ok_or_else(unknown)?;
            let (_, shape) = schema.class_by_uid(class).ok_or_else(unknown)?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
            if name.len() > MAX_SOURCE_NAME || !name.bytes().all(plain) {
                return Err(RegisterError::Name(name));
            }
            let id = SourceId { name, version: self.version.as_str().to_owned() };
            Ok((class, (id, shape.name.to_ascii_uppercase())))
        };
        self.classes.iter().map(|class| of(*class)).collect()
    }
}

/// Why the sources are not as they shall be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// A class that has no source.
    #[error("class {class} has no source in ocsf {version}: take it out of the enabled classes")]
    Class {
        /// The class.
        class: i32,
        /// The version.
        version: Version,
    },
    /// A name that Security Lake refuses.
    #[error(
        "{0:?} cannot name a source: it may have {MAX_SOURCE_NAME} letters, digits, '-', '_', '.' and ':'; shorten the prefix"
    )]
    Name(String),
    /// The lake has no room.
    #[error(
        "the lake has {there} custom sources and {wanted} more are wanted: an account has at most {MAX_SOURCES} in a region"
    )]
    Full {
        /// Sources there.
        there: usize,
        /// Sources to be made.
        wanted: usize,
    },
    /// The registry failed or refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Time ran out.
    #[error("source {source_id} is not ready after {} s: {detail}; try again, what was made is kept", waited.as_secs())]
    Late {
        /// The source.
        source_id: SourceId,
        /// How long was waited.
        waited: Duration,
        /// What it waits for.
        detail: String,
    },
}

/// What became of the sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisterReport {
    /// Where the objects of each class go, by `class_uid`.
    pub sources: BTreeMap<i32, Registered>,
    /// Sources that were made now.
    pub created: Vec<SourceId>,
    /// Sources that were removed now.
    pub removed: Vec<SourceId>,
}

/// The job.
pub struct RegisterSources {
    /// Where sources are registered.
    pub registry: Arc<dyn SourceRegistry>,
}

impl RegisterSources {
    /// Brings the sources from `before` (none, for the first time) to `wanted` within `budget`. What `before` does not name
    /// is never removed: it is somebody else's.
    ///
    /// # Errors
    /// The first source that could not be brought about. Nothing is removed then, and what this call has made is removed again,
    /// as far as that goes: a rolled back deployment asks nobody to remove it.
    pub async fn run(
        &self,
        wanted: &SourceSet,
        before: Option<&SourceSet>,
        budget: Duration,
    ) -> Result<RegisterReport, RegisterError> {
        let deadline = Instant::now() + budget;
        let sources = wanted.sources()?;
        let mut there: BTreeMap<SourceId, Option<Registered>> = self.registry.list().await?.into_iter().collect();
        let missing = sources.values().filter(|(id, _)| !there.contains_key(id)).count();
        if there.len() + missing > MAX_SOURCES && missing > 0 {
            return Err(RegisterError::Full { there: there.len(), wanted: missing });
        }
        let mut report = RegisterReport::default();
        for (class, (id, event_class)) in &sources {
            let known = there.remove(id);
            match self.bring_about(id, event_class, known, deadline, &mut report.created).await {
                Ok(registered) => {
                    report.sources.insert(*class, registered);
                }
                Err(error) => {
                    self.take_back(&report.created).await;
                    return Err(error);
                }
            }
        }
        if let Some(before) = before {
            let kept: BTreeSet<&SourceId> = sources.values().map(|(id, _)| id).collect();
            // What the older settings name but this version does not know was never made.
            for (id, _) in before.sources().unwrap_or_default().values().filter(|(id, _)| !kept.contains(id)) {
                self.remove(id, deadline).await?;
                report.removed.push(id.clone());
            }
        }
        info!(
            sources = report.sources.len(),
            created = report.created.len(),
            removed = report.removed.len(),
            "sources registered"
        );
        Ok(report)
    }

    /// Removes the sources of `set`. Objects in them stay.
    ///
    /// # Errors
    /// The first source that could not be removed.
    pub async fn remove_all(&self, set: &SourceSet, budget: Duration) -> Result<Vec<SourceId>, RegisterError> {
        let deadline = Instant::now() + budget;
        let mut removed = Vec::new();
        // Settings that never passed made nothing.
        for (id, _) in set.sources().unwrap_or_default().into_values() {
            self.remove(&id, deadline).await?;
            removed.push(id);
        }
        info!(removed = removed.len(), "sources removed");
        Ok(removed)
    }

    async fn bring_about(
        &self,
        id: &SourceId,
        event_class: &str,
        known: Option<Option<Registered>>,
        deadline: Instant,
        created: &mut Vec<SourceId>,
    ) -> Result<Registered, RegisterError> {
        let mut there = known.is_some();
        if let Some(Some(registered)) = known {
            return Ok(registered);
        }
        let mut patience = Patience::until(deadline);
        loop {
            let detail = if there {
                let listed = self.registry.list().await?;
                match listed.into_iter().find(|(listed, _)| listed == id) {
                    Some((_, Some(registered))) => return Ok(registered),
                    Some((_, None)) => "it has no location yet".to_owned(),
                    None => {
                        there = false;
                        continue;
                    }
                }
            } else {
                match self.registry.create(id, event_class).await {
                    Ok(made) => {
                        created.push(id.clone());
                        there = true;
                        match made {
                            Some(registered) => return Ok(registered),
                            None => "it has no location yet".to_owned(),
                        }
                    }
                    Err(error @ RegistryError::Conflict { .. }) => {
                        // An attempt whose answer was lost has made it; else another change is under way.
                        there = self.registry.list().await?.iter().any(|(listed, _)| listed == id);
                        error.to_string()
                    }
                    Err(error) if error.is_transient() => error.to_string(),
                    Err(error) => return Err(error.into()),
                }
            };
            patience.wait(id, detail).await?;
        }
    }

    async fn remove(&self, id: &SourceId, deadline: Instant) -> Result<(), RegisterError> {
        let mut patience = Patience::until(deadline);
        loop {
            match self.registry.delete(id).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => patience.wait(id, error.to_string()).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn take_back(&self, created: &[SourceId]) {
        for id in created {
            if let Err(error) = self.registry.delete(id).await {
                warn!(source = %id, "a source that was made for nothing could not be removed: {error}");
            }
        }
    }
}

/// Waits for one source, up to the end of the time.
struct Patience {
    waits: Backoff,
    started: Instant,
    deadline: Instant,
}

impl Patience {
    fn until(deadline: Instant) -> Self {
        Self { waits: WAITS, started: Instant::now(), deadline }
    }

    /// Before another attempt. `detail` is what it waits for.
    async fn wait(&mut self, id: &SourceId, detail: String) -> Result<(), RegisterError> {
        match self.waits.next().filter(|wait| Instant::now() + *wait < self.deadline) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => {
                return Err(RegisterError::Late { source_id: id.clone(), waited: self.started.elapsed(), detail });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
