#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Mutex;

use async_trait::async_trait;
use tributary_aws::AwsError;
use tributary_lake::MemoryRegistry;

use super::*;

const BUDGET: Duration = Duration::from_secs(60);

fn set(classes: &[i32]) -> SourceSet {
    SourceSet { prefix: "cloud-".into(), version: Version::V1_3_0, classes: classes.iter().copied().collect() }
}

fn job(registry: impl SourceRegistry + 'static) -> RegisterSources {
    RegisterSources { registry: Arc::new(registry) }
}

/// Answers some calls with a fault before the registry behind it is asked, or after it did its work.
#[derive(Default)]
struct Moody {
    inner: MemoryRegistry,
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// How many lists show a new source without its location.
    slow: Mutex<u32>,
}

#[derive(Clone, Copy)]
enum Fault {
    Before(u16, &'static str),
    After(u16, &'static str),
}

impl Moody {
    fn with(faults: &[(&'static str, Fault)]) -> Self {
        // Taken from the end.
        Self { faults: Mutex::new(faults.iter().rev().copied().collect()), ..Self::default() }
    }

    fn fault(&self, operation: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let next = faults.last().filter(|(next, _)| *next == operation)?.1;
        faults.pop();
        Some(next)
    }
}

fn failure(id: &SourceId, status: u16, code: &str) -> RegistryError {
    let error = AwsError::answered("securitylake:CreateCustomLogSource", status, code, "no");
    match code {
        "ConflictException" => RegistryError::Conflict { source_id: id.clone(), detail: error.detail },
        _ => RegistryError::Service { source_id: id.clone(), error },
    }
}

#[async_trait]
impl SourceRegistry for Moody {
    async fn create(&self, source: &SourceId, event_class: &str) -> Result<Option<Registered>, RegistryError> {
        match self.fault("create") {
            Some(Fault::Before(status, code)) => Err(failure(source, status, code)),
            Some(Fault::After(status, code)) => {
                self.inner.create(source, event_class).await?;
                Err(failure(source, status, code))
            }
            None => {
                let made = self.inner.create(source, event_class).await?;
                Ok(made.filter(|_| *self.slow.lock().unwrap() == 0))
            }
        }
    }
    async fn delete(&self, source: &SourceId) -> Result<(), RegistryError> {
        match self.fault("delete") {
            Some(Fault::Before(status, code) | Fault::After(status, code)) => Err(failure(source, status, code)),
            None => self.inner.delete(source).await,
        }
    }
    async fn list(&self) -> Result<Vec<(SourceId, Option<Registered>)>, RegistryError> {
        let mut listed = self.inner.list().await?;
        let mut slow = self.slow.lock().unwrap();
        if *slow > 0 && !listed.is_empty() {
            *slow -= 1;
            listed.iter_mut().for_each(|(_, registered)| *registered = None);
        }
        Ok(listed)
    }
}

async fn names(job: &RegisterSources) -> Vec<String> {
    let listed = job.registry.list().await.unwrap();
    listed.into_iter().map(|(id, _)| id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_class_has_its_source_and_a_second_run_changes_nothing() {
    let job = job(MemoryRegistry::new());
    let wanted = set(&[2004, 6003, 3002]);
    let first = job.run(&wanted, None, BUDGET).await.unwrap();
    assert_eq!(first.sources[&2004].location, "ext/cloud-detection/1.3.0/");
    assert_eq!((first.sources.len(), first.created.len()), (3, 3));
    let second = job.run(&wanted, Some(&wanted), BUDGET).await.unwrap();
    assert_eq!((second.sources, second.created, second.removed), (first.sources, vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_update_adds_and_removes_and_leaves_others_alone() {
    let job = job(MemoryRegistry::new());
    let other = SourceId { name: "okta".into(), version: "1.0".into() };
    job.registry.create(&other, "AUTHENTICATION").await.unwrap();
    let before = set(&[2004, 6003]);
    job.run(&before, None, BUDGET).await.unwrap();
    let report = job.run(&set(&[2004, 4001]), Some(&before), BUDGET).await.unwrap();
    assert_eq!(report.removed.iter().map(|id| id.name.as_str()).collect::<Vec<_>>(), ["cloud-api"]);
    assert_eq!(names(&job).await, ["cloud-detection 1.3.0", "cloud-network 1.3.0", "okta 1.0"]);
    // Another version is another source.
    let older = SourceSet { version: Version::V1_1_0, ..set(&[2004]) };
    job.run(&older, Some(&set(&[2004, 4001])), BUDGET).await.unwrap();
    assert_eq!(names(&job).await, ["cloud-detection 1.1.0", "okta 1.0"]);
    job.remove_all(&older, BUDGET).await.unwrap();
    job.remove_all(&older, BUDGET).await.unwrap();
    assert_eq!(names(&job).await, ["okta 1.0"]);
}

#[tokio::test(start_paused = true)]
async fn conflicts_and_hiccups_are_waited_for() {
    let faults = [
        ("create", Fault::Before(409, "ConflictException")),
        ("create", Fault::Before(503, "")),
        ("create", Fault::After(409, "ConflictException")),
    ];
    let job = job(Moody::with(&faults));
    let report = job.run(&set(&[2004]), None, BUDGET).await.unwrap();
    assert_eq!(report.sources.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_a_location_is_waited_for() {
    let registry = Moody::default();
    *registry.slow.lock().unwrap() = 3;
    let job = job(registry);
    let report = job.run(&set(&[2004]), None, BUDGET).await.unwrap();
    assert_eq!(report.sources[&2004].location, "ext/cloud-detection/1.3.0/");

    let registry = Moody::default();
    *registry.slow.lock().unwrap() = u32::MAX;
    let late = RegisterSources { registry: Arc::new(registry) }.run(&set(&[2004]), None, BUDGET).await.unwrap_err();
    assert!(late.to_string().contains("cloud-detection 1.3.0 is not ready after"), "{late}");
}

#[tokio::test(start_paused = true)]
async fn what_was_made_for_nothing_is_taken_back() {
    let job = job(MemoryRegistry::new());
    let earlier = SourceId { name: "cloud-account".into(), version: "1.3.0".into() };
    job.registry.create(&earlier, "ACCOUNT_CHANGE").await.unwrap();
    // The second class of this run is refused for good; the first one is taken back, the earlier one stays.
    let refusing = Refusing { inner: job.registry, refused: "cloud-api" };
    let job = RegisterSources { registry: Arc::new(refusing) };
    let error = job.run(&set(&[2004, 3001, 6003]), None, BUDGET).await.unwrap_err();
    assert!(error.to_string().contains("cloud-api 1.3.0") && error.to_string().contains("grant it"), "{error}");
    assert_eq!(names(&job).await, ["cloud-account 1.3.0"]);
}

struct Refusing {
    inner: Arc<dyn SourceRegistry>,
    refused: &'static str,
}

#[async_trait]
impl SourceRegistry for Refusing {
    async fn create(&self, source: &SourceId, event_class: &str) -> Result<Option<Registered>, RegistryError> {
        if source.name == self.refused {
            return Err(failure(source, 403, "AccessDeniedException"));
        }
        self.inner.create(source, event_class).await
    }
    async fn delete(&self, source: &SourceId) -> Result<(), RegistryError> {
        self.inner.delete(source).await
    }
    async fn list(&self) -> Result<Vec<(SourceId, Option<Registered>)>, RegistryError> {
        self.inner.list().await
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_are_named() {
    let job = job(MemoryRegistry::new());
    let long = SourceSet { prefix: "cloud-production-".into(), ..set(&[3002]) };
    let error = job.run(&long, None, BUDGET).await.unwrap_err();
    assert!(error.to_string().contains("cloud-production-authentication"), "{error}");
    let error = job.run(&set(&[9999]), None, BUDGET).await.unwrap_err();
    assert!(error.to_string().contains("9999"), "{error}");
    // Removing what could never be made is no error: a failed deployment must be able to go.
    assert_eq!(job.remove_all(&long, BUDGET).await.unwrap(), []);
}
