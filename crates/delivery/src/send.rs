//! Entries to a sink: cut into calls, again what failed, and that alone.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use tracing::debug;
use tributary_aws::Backoff;

use crate::sink::{Answer, Entry, Failure, Sink, SinkError};

/// Calls under way at once: a call takes longer than a rate of ten a second leaves it.
const CALLS_AT_ONCE: usize = 4;

/// Code of a document that is larger than the sink takes.
pub const TOO_LARGE: &str = "TooLarge";

/// How long entries are tried again here, before they are the caller's again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Times that an entry is sent, at least 1.
    pub attempts: u32,
    /// Pause before the second; each further one is twice as long.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

impl Default for Patience {
    /// Five attempts within 10 s: well inside the time that a message stays with its worker.
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(500), longest: Duration::from_secs(5) }
    }
}

/// What became of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// An answer for each entry, in their order. [`Answer::Again`] is what the last attempt said.
    pub answers: Vec<Answer>,
    /// The last call that failed as a whole, if that is why entries are not there.
    pub failure: Option<SinkError>,
}

/// Sends entries. A document over the sink's limit is refused as [`TOO_LARGE`] without a call. Where a call is refused for one of
/// its entries, it is cut in two until the entry is found, so that no entry keeps others from arriving.
pub async fn send(sink: &dyn Sink, entries: &[Entry], patience: Patience) -> Sent {
    let most = sink.limits().document;
    let first = |entry: &Entry| match entry.document().len() {
        size if size > most => Answer::Refused(TOO_LARGE.to_owned()),
        _ => Answer::Again(String::new()),
    };
    let mut answers: Vec<Answer> = entries.iter().map(first).collect();
    let mut pauses = Backoff::new(patience.attempts.saturating_sub(1), patience.first, patience.longest);
    loop {
        let mut failure = None;
        let mut pending: Vec<usize> =
            (0..).zip(&answers).filter(|(_, answer)| open(answer)).map(|(at, _)| at).collect();
        while !pending.is_empty() && !failure.as_ref().is_some_and(hopeless) {
            let calls;
            (calls, pending) = cut(sink, entries, pending);
            let puts = futures_util::stream::iter(calls).map(|call| put(sink, entries, call));
            let mut puts = puts.buffer_unordered(CALLS_AT_ONCE);
            while let Some((answered, failed)) = puts.next().await {
                for (at, answer) in answered {
                    if let Some(place) = answers.get_mut(at) {
                        *place = answer;
                    }
                }
                failure = failed.or(failure);
            }
        }
        let left = answers.iter().filter(|answer| open(answer)).count();
        let pause = pauses.next().filter(|_| left > 0 && !failure.as_ref().is_some_and(hopeless));
        let Some(pause) = pause else { return Sent { answers, failure: failure.filter(|_| left > 0) } };
        debug!(sink = sink.name(), left, failure = ?failure.map(|failure| failure.code), "trying again");
        tokio::time::sleep(pause).await;
    }
}

fn open(answer: &Answer) -> bool {
    matches!(answer, Answer::Again(_))
}

/// Whether trying again is a waste until a person has acted.
fn hopeless(error: &SinkError) -> bool {
    matches!(error.failure, Failure::Denied | Failure::Misconfigured)
}

/// As many calls as the entries need, none with an id twice; entries whose id is taken are left for the calls after these.
fn cut(sink: &dyn Sink, entries: &[Entry], pending: Vec<usize>) -> (Vec<Vec<usize>>, Vec<usize>) {
    let limits = sink.limits();
    let (mut calls, mut later) = (Vec::new(), Vec::new());
    let (mut call, mut bytes) = (Vec::new(), 0);
    let mut ids = HashSet::new();
    for at in pending {
        let Some(entry) = entries.get(at) else { continue };
        if !ids.insert(entry.id()) {
            later.push(at);
            continue;
        }
        let weight = sink.weight(entry);
        if call.len() == limits.entries || (bytes + weight > limits.bytes && !call.is_empty()) {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        bytes += weight;
        call.push(at);
    }
    if !call.is_empty() {
        calls.push(call);
    }
    (calls, later)
}

/// One call, or as many as it takes to find the entries that it is refused for.
async fn put(sink: &dyn Sink, entries: &[Entry], call: Vec<usize>) -> (Vec<(usize, Answer)>, Option<SinkError>) {
    let mut answered = Vec::with_capacity(call.len());
    let mut parts = vec![call];
    while let Some(mut part) = parts.pop() {
        let of: Vec<&Entry> = part.iter().filter_map(|at| entries.get(*at)).collect();
        match sink.put(&of).await {
            Ok(answers) => answered.extend(part.into_iter().zip(answers)),
            Err(error) if error.failure == Failure::Entries => match part.as_slice() {
                [at] => answered.push((*at, Answer::Refused(error.code))),
                _ => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
            },
            Err(error) => {
                parts.push(part);
                let open = parts.into_iter().flatten().map(|at| (at, Answer::Again(error.code.clone())));
                answered.extend(open);
                return (answered, Some(error));
            }
        }
    }
    (answered, None)
}

#[cfg(test)]
mod tests;
