//! A staged outcome's groups to lake and quarantine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::outcome::{Destination, GroupEntry, Outcome};
use crate::remap::{Placed, Replaced};
use crate::store::{self, StoreError};

/// Puts at a time: a batch has a handful of groups, a hostile one 257.
const CONCURRENT_PUTS: usize = 8;

/// What publishing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Objects written now.
    pub objects: u64,
    /// Objects that an earlier attempt had written.
    pub existing: u64,
    /// Bytes written now.
    pub bytes: u64,
}

/// Publishes outcomes. Both stores may be the same.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// `None`: a deployment without a lake.
    lake: Option<Arc<dyn ObjectStore>>,
    quarantine: Arc<dyn ObjectStore>,
}

impl Publisher {
    /// A publisher into two stores, at their roots.
    pub fn new(lake: Arc<dyn ObjectStore>, quarantine: Arc<dyn ObjectStore>) -> Self {
        Self { lake: Some(lake), quarantine }
    }

    /// A publisher of a deployment that has no lake: of an outcome it writes the quarantine alone.
    pub fn without_lake(quarantine: Arc<dyn ObjectStore>) -> Self {
        Self { lake: None, quarantine }
    }

    /// Writes every group that is not there yet. An object that exists is this batch's own, from an earlier attempt, and
    /// done: the name holds the batch's id, and all attempts publish the one staged outcome. So this may be interrupted
    /// anywhere and called again.
    ///
    /// Never call it with an outcome that was not staged first, unless nobody else can be at work on the batch.
    ///
    /// # Errors
    /// When a store fails or denies. Some of the groups may be written by then.
    pub async fn publish(&self, outcome: &Outcome) -> Result<Published, StoreError> {
        let failed = AtomicBool::new(false);
        let put = |group: &GroupEntry| {
            let (group, failed) = (group.clone(), &failed);
            async move {
                // After a failure nothing new begins, but what is on its way is waited for: when this returns, nobody
                // is at work on the batch any more.
                if failed.load(Ordering::Relaxed) {
                    return Ok(Published::default());
                }
                let result = self.put(group, outcome).await;
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                result
            }
        };
        let puts: Vec<_> = outcome.manifest().groups.iter().map(put).collect();
        let results: Vec<_> = stream::iter(puts).buffer_unordered(CONCURRENT_PUTS).collect().await;
        results.into_iter().try_fold(Published::default(), |sum, one| {
            let one = one?;
            Ok(Published {
                objects: sum.objects + one.objects,
                existing: sum.existing + one.existing,
                bytes: sum.bytes + one.bytes,
            })
        })
    }

    /// The first of the outcome's objects that is there already.
    ///
    /// # Errors
    /// When a store fails or denies.
    pub async fn published(&self, outcome: &Outcome) -> Result<Option<String>, StoreError> {
        for group in &outcome.manifest().groups {
            let Some(store) = self.store(group.destination) else { continue };
            if store::exists(store, &group.key).await? {
                return Ok(Some(group.key.clone()));
            }
        }
        Ok(None)
    }

    /// Publishes an outcome over what its batch has published before, and removes what it lacks of that.
    pub(crate) async fn replace(&self, outcome: &Outcome, old: &BTreeSet<Placed>) -> Result<Replaced, StoreError> {
        const PUBLISH: &str = "publish over";
        let groups = &outcome.manifest().groups;
        let of = |group: &GroupEntry| Placed { destination: group.destination, key: group.key.clone() };
        let (replaced, new): (Vec<_>, Vec<_>) = groups.iter().partition(|group| old.contains(&of(group)));
        let mut done = Replaced::default();
        for group in new.into_iter().chain(replaced) {
            let Some(store) = self.store(group.destination) else { continue };
            let payload = PutPayload::from_bytes(outcome.group_bytes(group));
            let put = store.put(&store::path(PUBLISH, &group.key)?, payload).await;
            put.map_err(|error| store::failed(store, PUBLISH, &group.key, &error))?;
            done.published.objects += 1;
            done.published.bytes += group.length;
        }
        let kept: BTreeSet<Placed> = groups.iter().map(of).collect();
        for object in old.difference(&kept) {
            let Some(store) = self.store(object.destination) else { continue };
            let removed = store::remove(store, "remove", &object.key).await?;
            done.removed += u64::from(removed);
        }
        Ok(done)
    }

    /// `None`: the deployment does not have it.
    fn store(&self, destination: Destination) -> Option<&dyn ObjectStore> {
        match destination {
            Destination::Lake => self.lake.as_deref(),
            Destination::Quarantine => Some(&*self.quarantine),
        }
    }

    async fn put(&self, group: GroupEntry, outcome: &Outcome) -> Result<Published, StoreError> {
        let Some(store) = self.store(group.destination) else { return Ok(Published::default()) };
        let payload = PutPayload::from_bytes(outcome.group_bytes(&group));
        let new = store::create(store, "publish", &group.key, payload).await?;
        Ok(match new {
            true => Published { objects: 1, existing: 0, bytes: group.length },
            false => Published { objects: 0, existing: 1, bytes: 0 },
        })
    }
}
