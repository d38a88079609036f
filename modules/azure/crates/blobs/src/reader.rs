//! The exactly-once reader: from a blob's new blocks to whatever takes its records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tributary_azure_flowlogs::Rest;
use tributary_ledger::{Cursor, CursorKey, CursorKeyError, Cursors, LedgerError, MAX_STATE};

use crate::blocks::{Block, length, place, stands};
use crate::counts::Counts;
use crate::held::{Cut, Held, Piece, Search};
use crate::name::{BlobName, Notice};
use crate::state::{Plan, Ranges, State, counts, name, ordinals};
use crate::{BlobError, BlobStore};

/// A record, with what names it in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'r> {
    /// Its `time`, in milliseconds since 1970-01-01T00:00:00Z; 0 where it has none.
    pub time: i64,
    /// Its `macAddress`, upper case; empty where it has none.
    pub mac: &'r str,
    /// Which one of the blob's records of this time and MAC it is, from 0.
    pub ordinal: u32,
    /// Its bytes: a JSON object, or what stands in the place of one.
    pub bytes: &'r [u8],
    /// Whether it is longer than [`Limits::record`]: these are its first bytes, and none of it can be read.
    pub cut_off: bool,
}

/// Records that belong under one name.
#[derive(Debug)]
pub struct Part<'p> {
    /// The same for the same records, whoever reads them and whenever: hexadecimal digits and one `-`.
    pub name: &'p str,
    /// Where they are from.
    pub blob: &'p BlobName,
    /// In their order in the blob. Never empty.
    pub records: &'p [Record<'p>],
    /// What [`Land::cut`] said when these records were planned, in whatever version of the program that was.
    pub cut: u32,
}

/// Why a part was not taken: nothing is known of whether it was. It is put again, under the same name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LandError(pub String);

/// What takes records. Putting the same part again must change nothing.
#[async_trait]
pub trait Land: Send + Sync {
    /// Takes all of a part, or fails. What cannot be read goes to quarantine, and is taken.
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError>;

    /// What decides, beside the records, how a part becomes objects. It is planned with the records and comes back in [`Part::cut`],
    /// however often a part is put and by whom: a later version makes the same objects, or refuses what it does not know.
    fn cut(&self) -> u32 {
        0
    }
}

/// Bounds of memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes are fetched, and at most how many become one part: records that together are no longer, or one that is.
    pub chunk: u64,
    /// Longest record in bytes; what is longer is cut off there. A minute of a very busy interface has tens of megabytes.
    pub record: u64,
    /// How long a cursor is kept after its last change, in milliseconds.
    pub time_to_live: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { chunk: 4 << 20, record: 64 << 20, time_to_live: 168 * 3_600_000 }
    }
}

/// Why a blob was not read to its end. Its notification stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The blob cannot be read.
    #[error("blob {blob}: {error}")]
    Blob {
        /// Which.
        blob: BlobName,
        /// Why.
        error: BlobError,
    },
    /// The ledger fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Its name is no key.
    #[error(transparent)]
    Key(#[from] CursorKeyError),
    /// The ledger has something else.
    #[error(
        "the cursor of blob {0} is not of this version: delete its item, and it is read from its start, or start the later version"
    )]
    Cursor(BlobName),
    /// It holds no list of records.
    #[error("blob {0} is no flow log: it does not begin with {{\"records\":[")]
    NoRecords(BlobName),
    /// What its cursor has to know of its records is more than the ledger holds.
    #[error(
        "blob {blob} has more records than a cursor holds ({bytes} bytes of {MAX_STATE}): those before byte {at} are taken and the others stay in it; convert what follows from a copy (tributary flowlogs convert)"
    )]
    TooMany {
        /// Which.
        blob: BlobName,
        /// Up to where it was read.
        at: u64,
        /// How long its cursor would be.
        bytes: usize,
    },
    /// What takes records fails.
    #[error("records of blob {blob}: {error}")]
    Land {
        /// Which.
        blob: BlobName,
        /// Why.
        error: LandError,
    },
    /// Others were always faster.
    #[error("blob {0} changed, or others read it, each time that it was tried: nothing is lost, try again")]
    Busy(BlobName),
}

impl ReadError {
    /// Whether the ledger denied a call (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Ledger(error) => error.denied,
            Self::Blob { error, .. } => matches!(error, BlobError::Denied(_)),
            _ => false,
        }
    }
}

/// What a reading came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// The ledger knew all that the notification tells: the blob was not asked.
    pub covered: bool,
    /// Bytes that were fetched.
    pub bytes: u64,
    /// Parts that were put, replayed ones included.
    pub parts: u64,
    /// Records in them.
    pub records: u64,
    /// Times that the blob was read from its start, because it was rewritten.
    pub restarts: u64,
    /// Records that were longer than the bound, of which only the beginning was put.
    pub cut_off: u64,
    /// Planned records that the rewritten or deleted blob does not have any more. They may have been put before.
    pub lost: u64,
}

/// Attempts in a row that come to nothing because the blob or its cursor changed.
const ATTEMPTS: u32 = 30;

/// Reads blobs from where the ledger says to their end.
pub struct Reader {
    /// Where blobs are.
    pub blobs: Arc<dyn BlobStore>,
    /// Where they stand.
    pub cursors: Arc<dyn Cursors>,
    /// What takes their records.
    pub land: Arc<dyn Land>,
    /// Bounds.
    pub limits: Limits,
    busy: Mutex<HashMap<BlobName, Arc<tokio::sync::Mutex<()>>>>,
}

/// One blob on its way.
struct Run<'r> {
    reader: &'r Reader,
    blob: &'r BlobName,
    key: CursorKey,
    held: Held,
    report: Report,
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What became of a step.
enum Step {
    /// Everything is consumed.
    Done,
    /// Something is, or was by somebody: go on.
    Again,
}

/// Whether the ledger covers all that a notification tells: [`Reader::catch_up`] would not ask for the blob.
///
/// # Errors
/// When the ledger fails or has something else.
pub async fn is_covered(cursors: &dyn Cursors, blob: &BlobName, notice: Option<&Notice>) -> Result<bool, ReadError> {
    let Some(cursor) = cursors.read(&blob.cursor()?).await? else { return Ok(false) };
    let state = State::read(&cursor.state).ok_or_else(|| ReadError::Cursor(blob.clone()))?;
    Ok(notice.is_some_and(|notice| state.covers(notice)))
}

impl Reader {
    /// A reader.
    pub fn new(blobs: Arc<dyn BlobStore>, cursors: Arc<dyn Cursors>, land: Arc<dyn Land>, limits: Limits) -> Self {
        Self { blobs, cursors, land, limits, busy: Mutex::default() }
    }

    /// Reads what is new in a blob. When this returns, a block list that was read after the call showed nothing new and no
    /// plan was open: a notification that was taken before may be deleted. A blob that is gone has nothing new.
    ///
    /// # Errors
    /// What is in the way; nothing is lost, and the notification must stay.
    pub async fn catch_up(&self, blob: &BlobName, notice: Option<&Notice>) -> Result<Report, ReadError> {
        let key = blob.cursor()?;
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(busy.entry(blob.clone()).or_default())
        };
        // Two of this process would only be in each other's way; other processes are kept out by the ledger.
        let _alone = lock.lock().await;
        let mut run = Run { reader: self, blob, key, held: Held::default(), report: Report::default() };
        let mut fruitless = 0;
        while fruitless < ATTEMPTS {
            let before = (run.report.parts, run.report.bytes);
            match run.step(notice).await {
                Ok(Step::Done) => return Ok(run.report),
                Ok(Step::Again) | Err(ReadError::Blob { error: BlobError::Changed, .. }) => {}
                Err(error) => return Err(error),
            }
            fruitless = if (run.report.parts, run.report.bytes) == before { fruitless + 1 } else { 0 };
        }
        Err(ReadError::Busy(blob.clone()))
    }
}

impl Run<'_> {
    fn failed(&self, error: BlobError) -> ReadError {
        ReadError::Blob { blob: self.blob.clone(), error }
    }

    /// From a fresh read of the cursor until everything is consumed, or something changed meanwhile. The list is read after
    /// the cursor: it cannot be older than what the cursor tells of.
    async fn step(&mut self, notice: Option<&Notice>) -> Result<Step, ReadError> {
        let stored = self.reader.cursors.read(&self.key).await?;
        let mut version = stored.as_ref().map_or(0, |cursor| cursor.version);
        let mut state = match &stored {
            Some(cursor) => State::read(&cursor.state).ok_or_else(|| ReadError::Cursor(self.blob.clone()))?,
            None => State::default(),
        };
        if version > 0 && notice.is_some_and(|notice| state.covers(notice)) && self.report == Report::default() {
            self.report.covered = true;
            return Ok(Step::Done);
        }
        let list = match self.reader.blobs.blocks(self.blob).await {
            Ok(list) => list,
            Err(BlobError::Gone) => return self.gone(&mut state, version).await,
            Err(error) => return Err(self.failed(error)),
        };
        let data = list.data();
        if let Some(plan) = state.plan.clone() {
            return self.replay(&mut state, version, plan, &data, &list.etag).await;
        }
        if !stands(&data, &state.at) {
            tracing::info!(blob = %self.blob, "the blob was rewritten: it is read from its start, and what was taken is left out");
            self.report.restarts += 1;
            state.restart();
        }
        let end = length(&data);
        while state.at.bytes < end {
            self.held.keep(state.at.bytes, &data);
            let found = self.fill(end, state.rest, &list.etag).await?;
            let to = place(&data, state.at.bytes.saturating_add(found.consumed as u64));
            let cut = self.reader.land.cut();
            let plan = Plan { to, rest: found.rest, records: counts(&found.pieces), cut };
            let ranges = state.new_of(&plan.records);
            if !ranges.is_empty() {
                let mut after = state.clone();
                after.advance(plan.clone());
                // Before anything is put: what cannot be advanced over is not planned.
                self.text(&after)?;
                state.plan = Some(plan.clone());
                if !self.swap(&mut version, &state).await? {
                    return Ok(Step::Again);
                }
                let mut before = state.before().clone();
                self.put(&found.pieces, &mut before, &ranges, plan.cut).await?;
            }
            state.advance(plan);
            if !self.swap(&mut version, &state).await? {
                return Ok(Step::Again);
            }
        }
        let before = state.clone();
        state.complete(&list.etag, notice);
        if state != before && !self.swap(&mut version, &state).await? {
            return Ok(Step::Again);
        }
        Ok(Step::Done)
    }

    /// Puts what another worker, or an earlier run, planned and did not end.
    async fn replay(
        &mut self,
        state: &mut State,
        mut version: u64,
        plan: Plan,
        data: &[Block],
        etag: &str,
    ) -> Result<Step, ReadError> {
        let ranges = state.new_of(&plan.records);
        if stands(data, &plan.to) && stands(data, &state.at) {
            self.held.keep(state.at.bytes, data);
            self.fetch(plan.to.bytes, etag).await?;
            let wanted = usize::try_from(plan.to.bytes.saturating_sub(state.at.bytes)).unwrap_or(usize::MAX);
            let found = self.held.cut(wanted, state.rest, self.longest());
            let found = found.map_err(|_| ReadError::NoRecords(self.blob.clone()))?;
            if counts(&found.pieces) == plan.records {
                let mut before = state.before().clone();
                self.put(&found.pieces, &mut before, &ranges, plan.cut).await?;
                state.advance(plan);
                self.swap(&mut version, state).await?;
                return Ok(Step::Again);
            }
        }
        self.replay_rewritten(state, version, &ranges, plan.cut, data, etag).await
    }

    /// The same for a blob that was rewritten after the plan: its records are looked for by their keys.
    async fn replay_rewritten(
        &mut self,
        state: &mut State,
        mut version: u64,
        ranges: &Ranges,
        cut: u32,
        data: &[Block],
        etag: &str,
    ) -> Result<Step, ReadError> {
        let (end, mut at, mut rest) = (length(data), 0, Rest::Records);
        let planned: u64 = ranges.values().map(|(first, end)| u64::from(end - first)).sum();
        let mut before = Counts::new();
        let mut kept: Vec<(Piece, u32, Vec<u8>)> = Vec::new();
        while at < end && (kept.len() as u64) < planned {
            self.held.keep(at, data);
            let found = self.fill(end, rest, etag).await?;
            for (piece, ordinal) in ordinals(&found.pieces, &mut before) {
                let planned = ranges.get(&(piece.mac.clone(), piece.time));
                if planned.is_some_and(|(first, end)| (*first..*end).contains(&ordinal)) {
                    let bytes = self.held.bytes.get(piece.start..piece.end).unwrap_or_default().to_vec();
                    kept.push((piece.clone(), ordinal, bytes));
                }
            }
            at = at.saturating_add(found.consumed as u64);
            rest = found.rest;
        }
        let records: Vec<Record<'_>> =
            kept.iter().map(|(piece, ordinal, bytes)| record(piece, *ordinal, bytes)).collect();
        self.lose(planned.saturating_sub(records.len() as u64));
        self.land(&records, ranges, cut).await?;
        state.advance_apart(ranges);
        self.report.restarts += 1;
        self.swap(&mut version, state).await?;
        Ok(Step::Again)
    }

    /// A blob that is gone has nothing new. A plan for it is closed: its records were put, or cannot be.
    async fn gone(&mut self, state: &mut State, mut version: u64) -> Result<Step, ReadError> {
        tracing::warn!(blob = %self.blob, "the blob is gone");
        let Some(plan) = state.plan.take() else { return Ok(Step::Done) };
        let ranges = state.new_of(&plan.records);
        self.lose(ranges.values().map(|(first, end)| u64::from(end - first)).sum());
        state.advance_apart(&ranges);
        Ok(if self.swap(&mut version, state).await? { Step::Done } else { Step::Again })
    }

    fn lose(&mut self, records: u64) {
        if records > 0 {
            self.report.lost += records;
            tracing::error!(blob = %self.blob, records, "planned records are not in the blob any more: if the worker that planned them did not put them, they are lost");
        }
    }

    fn longest(&self) -> usize {
        usize::try_from(self.reader.limits.record).unwrap_or(usize::MAX)
    }

    /// Fetches a chunk, and more until there is the end of a record or of the data, or a record is too long.
    async fn fill(&mut self, end: u64, rest: Rest, etag: &str) -> Result<Cut, ReadError> {
        let chunk = self.reader.limits.chunk.max(1);
        let most = usize::try_from(chunk).unwrap_or(usize::MAX);
        let mut wanted = chunk;
        let mut search = Search::new(rest, self.longest());
        loop {
            self.fetch(end.min(self.held.from.saturating_add(wanted)), etag).await?;
            let last = self.held.end() >= end;
            let Held { from, bytes, blocks } = &self.held;
            search.go_on(*from, bytes, blocks, last).map_err(|_| ReadError::NoRecords(self.blob.clone()))?;
            let found = search.cut(bytes, most, last);
            let passed_over = found.consumed > 0 && found.rest != Rest::Records;
            if !found.pieces.is_empty() || last || passed_over {
                return Ok(found);
            }
            wanted = (bytes.len() as u64).saturating_add(chunk);
        }
    }

    /// Fetches so that everything up to `until` is held.
    async fn fetch(&mut self, until: u64, etag: &str) -> Result<(), ReadError> {
        let from = self.held.end();
        if from >= until {
            return Ok(());
        }
        let bytes = self.reader.blobs.read(self.blob, from, until - from, etag).await;
        let bytes = bytes.map_err(|error| self.failed(error))?;
        self.report.bytes += bytes.len() as u64;
        if self.held.bytes.is_empty() {
            self.held.bytes = bytes.into();
        } else {
            // Exactly: a long record would else be held twice.
            self.held.bytes.reserve_exact(bytes.len());
            self.held.bytes.extend_from_slice(&bytes);
        }
        Ok(())
    }

    async fn put(&mut self, pieces: &[Piece], before: &mut Counts, ranges: &Ranges, cut: u32) -> Result<(), ReadError> {
        let bytes = std::mem::take(&mut self.held.bytes);
        let records: Vec<Record<'_>> = ordinals(pieces, before)
            .filter(|(piece, ordinal)| {
                let planned = ranges.get(&(piece.mac.clone(), piece.time));
                planned.is_some_and(|(first, end)| (*first..*end).contains(ordinal))
            })
            .map(|(piece, ordinal)| record(piece, ordinal, bytes.get(piece.start..piece.end).unwrap_or_default()))
            .collect();
        let landed = self.land(&records, ranges, cut).await;
        drop(records);
        self.held.bytes = bytes;
        landed
    }

    async fn land(&mut self, records: &[Record<'_>], ranges: &Ranges, cut: u32) -> Result<(), ReadError> {
        if records.is_empty() {
            return Ok(());
        }
        let name = name(self.blob, ranges);
        let part = Part { name: &name, blob: self.blob, records, cut };
        let landed = self.reader.land.land(&part).await;
        landed.map_err(|error| ReadError::Land { blob: self.blob.clone(), error })?;
        self.report.parts += 1;
        self.report.records += records.len() as u64;
        self.report.cut_off += records.iter().filter(|record| record.cut_off).count() as u64;
        Ok(())
    }

    /// A state as the ledger holds it.
    fn text(&self, state: &State) -> Result<String, ReadError> {
        let text = state.write().map_err(|error| LedgerError {
            operation: "swap",
            key: self.key.as_str().to_owned(),
            detail: error.to_string(),
            denied: false,
        })?;
        match text.len() {
            0..=MAX_STATE => Ok(text),
            bytes => Err(ReadError::TooMany { blob: self.blob.clone(), at: self.held.from, bytes }),
        }
    }

    /// Writes the state over the version that was read. Whether it stands.
    async fn swap(&mut self, version: &mut u64, state: &State) -> Result<bool, ReadError> {
        let now = now_ms();
        let text = self.text(state)?;
        let ttl = now.saturating_add(self.reader.limits.time_to_live) / 1_000;
        let cursor = Cursor { version: version.saturating_add(1), state: text, updated_at: now, ttl };
        let stands = self.reader.cursors.swap(&self.key, &cursor).await?;
        if stands {
            *version = cursor.version;
        }
        Ok(stands)
    }
}

fn record<'r>(piece: &'r Piece, ordinal: u32, bytes: &'r [u8]) -> Record<'r> {
    Record { time: piece.time, mac: &piece.mac, ordinal, bytes, cut_off: piece.cut_off }
}
