//! What stands in a deployment's way, and what to do about it.
//!
//! A [`Subject`] is one thing that is looked at, and gives some [`Check`]s. Each has its time; one that fails holds up none but
//! those that need it, and those say so. Nothing is changed.

mod deployment;
mod local;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tributary_telemetry::{Check, CheckState};

pub use deployment::{examine_mappings, examine_sources};
pub use local::{examine_file, examine_folder};
pub use source::{Wanted, examine_source};

/// One thing that is looked at.
pub struct Subject {
    name: &'static str,
    needs: Vec<&'static str>,
    checks: BoxFuture<'static, Vec<Check>>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

impl Subject {
    /// A thing that needs no other.
    pub fn new(name: &'static str, checks: impl Future<Output = Vec<Check>> + Send + 'static) -> Self {
        Self { name, needs: Vec::new(), checks: Box::pin(checks) }
    }

    /// The same, to be looked at when `subject` (if there is one of that name) has no failed check.
    #[must_use]
    pub fn needing(mut self, subject: &'static str) -> Self {
        self.needs.push(subject);
        self
    }
}

/// The job.
#[derive(Debug)]
pub struct Doctor {
    /// What is looked at. One that others need stands before them.
    pub subjects: Vec<Subject>,
    /// Longest that one subject may take.
    pub limit: Duration,
}

impl Doctor {
    /// Looks at everything; checks come in the order of their subjects.
    pub async fn run(self) -> Vec<Check> {
        let Self { subjects, limit } = self;
        let names: Vec<&'static str> = subjects.iter().map(|subject| subject.name).collect();
        let mut done: BTreeMap<&'static str, Vec<Check>> = BTreeMap::new();
        let mut waiting = subjects;
        while !waiting.is_empty() {
            let ready =
                |subject: &Subject| subject.needs.iter().all(|need| done.contains_key(need) || !names.contains(need));
            let (now, later): (Vec<Subject>, Vec<Subject>) = waiting.into_iter().partition(ready);
            // Subjects that need each other are looked at all the same.
            let (now, later) = if now.is_empty() { (later, Vec::new()) } else { (now, later) };
            let looks = now.into_iter().map(|subject| {
                let broken = subject.needs.iter().find_map(|need| stands_in_the_way(done.get(need)?));
                async move {
                    let Subject { name, checks, .. } = subject;
                    match broken {
                        Some(check) => (name, vec![Check::skipped(name, format!("it needs {check}, see there"))]),
                        None => (name, within(name, limit, checks).await),
                    }
                }
            });
            done.extend(join_all(looks).await);
            waiting = later;
        }
        names.into_iter().flat_map(|name| done.remove(name).unwrap_or_default()).collect()
    }
}

/// The check because of which whatever needs these cannot be looked at.
fn stands_in_the_way(checks: &[Check]) -> Option<String> {
    let failed = checks.iter().find(|check| check.state == CheckState::Failed);
    // What was wholly skipped is not there either.
    let skipped = || checks.iter().find(|check| checks.len() == 1 && check.state == CheckState::Skipped);
    failed.or_else(skipped).map(|check| check.name.clone())
}

async fn within(name: &'static str, limit: Duration, checks: BoxFuture<'static, Vec<Check>>) -> Vec<Check> {
    tokio::time::timeout(limit, checks).await.unwrap_or_else(|_| {
        let found = format!("no answer within {} s", limit.as_secs());
        vec![Check::failed(
            name,
            found,
            "look at the network between here and there, or give it more time: --timeout SECONDS",
        )]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn states(subjects: Vec<Subject>) -> Vec<(String, CheckState, String)> {
        let doctor = Doctor { subjects, limit: Duration::from_secs(5) };
        doctor.run().await.into_iter().map(|check| (check.name, check.state, check.found)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_or_hangs_holds_up_only_what_needs_it() {
        let found = states(vec![
            Subject::new("a", async { vec![Check::failed("a: part", "broken", "mend it")] }),
            Subject::new("b", async { vec![Check::ok("b", "fine")] }).needing("a"),
            Subject::new("c", async { vec![Check::ok("c", "fine")] }).needing("b"),
            Subject::new("d", std::future::pending()),
            Subject::new("e", async { vec![Check::warning("e", "so so", "look")] }).needing("not there"),
        ])
        .await;
        let expect = |name: &str, state, text: &str| (name.to_owned(), state, text.to_owned());
        assert_eq!(
            found,
            [
                expect("a: part", CheckState::Failed, "broken"),
                expect("b", CheckState::Skipped, "it needs a: part, see there"),
                expect("c", CheckState::Skipped, "it needs b, see there"),
                expect("d", CheckState::Failed, "no answer within 5 s"),
                expect("e", CheckState::Warning, "so so"),
            ]
        );
    }
}
