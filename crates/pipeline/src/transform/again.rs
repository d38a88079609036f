//! Records out of quarantine as an outcome of their own. Pure: no store, no clock.

use bumpalo::Bump;
use serde_json::Value;
use tributary_batch::{BatchId, TimestampMs};
use tributary_lake::{QuarantineEntry, QuarantineKey, quarantine_object_at};
use tributary_mapping::{Mapper, Origin, Reason, Refused, Scratch, parse_timestamp};

use super::outcome::{BINARY, Derived, Made, Sorted, TransformError, Transformer};

/// A quarantine object of which some records are tried once more.
#[derive(Debug)]
pub struct Again<'q> {
    /// The object.
    pub key: &'q QuarantineKey,
    /// Its entries.
    pub entries: &'q [QuarantineEntry<'static>],
    /// Which of them are tried; the others stay what they are.
    pub chosen: &'q [bool],
    /// What is made beside the outcome.
    pub derived: Derived<'q>,
}

/// What a record inherits from the event that it came in.
struct Place {
    /// `metadata.uid` of the event's records, less their index.
    uid: String,
    /// Its index in the event.
    index: usize,
    /// The same where it was a part of a text that was quarantined as one record.
    part: Option<usize>,
    enqueued_time: Option<TimestampMs>,
    filed_time: TimestampMs,
}

impl Place {
    /// From a line of the quarantine object of `batch`; `None` when the line does not say where its record came from.
    fn of(batch: &BatchId, entry: &QuarantineEntry<'_>) -> Option<Self> {
        let (origin, _) = batch.origin();
        let position = &entry.position;
        let number = |name: &str| position.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let filed_time = parse_timestamp(&entry.received_at)?;
        let (uid, enqueued_time) = match origin.range() {
            Some(range) => {
                let partition = position.get("partition")?.as_str()?;
                let sequence = position.get("sequenceNumber")?.as_i64()?;
                (format!("{}-{partition}-{sequence}", range.hub.as_str()), Some(filed_time))
            }
            None => (origin.to_string(), position.get("enqueuedTime").and_then(Value::as_i64)),
        };
        Some(Self { uid, index: number("record")?, part: number("part"), enqueued_time, filed_time })
    }
}

impl Transformer {
    /// Tries the chosen records of a quarantine object once more, under the name of the batch's next redrive. Those that
    /// now map become rows with the identity that they would have had; the others, and those that were not chosen, are
    /// the entries of the redrive's own quarantine object.
    ///
    /// # Errors
    /// As [`outcome`](Self::outcome).
    pub fn again(&self, input: &Again<'_>) -> Result<Made, TransformError> {
        let arena = Bump::new();
        let mapper = Mapper::new(&self.set, self.options);
        let (mut scratch, mut fates, mut owners) = (Scratch::default(), Vec::new(), Vec::new());
        let mut kept: Vec<QuarantineEntry<'_>> = Vec::new();
        for (entry, chosen) in input.entries.iter().zip(input.chosen) {
            let place = Place::of(&input.key.batch, entry);
            let Some(place) = place.filter(|_| *chosen && entry.detail != BINARY) else {
                kept.push(entry.clone());
                continue;
            };
            let from = fates.len();
            let nested = format!("{}-{}", place.uid, place.index);
            let (uid, index) = match place.part {
                Some(part) => (&nested, part),
                None => (&place.uid, place.index),
            };
            let origin = |uid: &str| Origin { uid: arena.alloc_str(uid), enqueued_time: place.enqueued_time };
            mapper.map_body_from(index, &entry.raw, origin(uid), &arena, &mut scratch, &mut fates);
            let parted = place.part.is_none() && fates.len() - from > 1 && !is_whole_body(&place, entry);
            if parted {
                // What follows it in its event has the next indices already.
                fates.truncate(from);
                mapper.map_body_from(0, &entry.raw, origin(&nested), &arena, &mut scratch, &mut fates);
            }
            owners.resize(fates.len(), (entry, place.filed_time, place.index, parted || place.part.is_some()));
        }
        let mut sorted = Sorted::new(self.set.schema(), input.derived);
        sorted.refused = kept;
        for (fate, (entry, filed_time, index, parted)) in fates.iter().zip(&owners) {
            sorted.add(fate, *filed_time, |record| self.refused_again(entry, record, *index, *parted));
        }
        let id = input.key.batch.next_redrive();
        let key = input.key.of_batch(id.clone());
        let quarantine = |entries: &[_]| quarantine_object_at(&key, entries);
        self.made(&id, input.entries.len() as u64, sorted, quarantine, scratch.redactions)
    }

    /// A record's line after another attempt.
    fn refused_again(
        &self,
        before: &QuarantineEntry<'_>,
        record: Refused<'_>,
        index: usize,
        parted: bool,
    ) -> QuarantineEntry<'static> {
        let mut position = before.position.clone();
        if let Some(place) = position.as_object_mut() {
            if parted {
                place.insert("record".to_owned(), Value::from(index));
                place.insert("part".to_owned(), Value::from(record.index));
            } else {
                place.insert("record".to_owned(), Value::from(record.index));
            }
        }
        QuarantineEntry {
            reason: record.reason.as_str().into(),
            detail: record.detail.into(),
            kind: record.kind.map(|kind| kind.to_owned().into()),
            position,
            mappings: self.mappings().to_owned().into(),
            received_at: before.received_at.to_string().into(),
            raw: record.raw.to_owned().into(),
        }
    }
}

/// Whether an event's whole body was quarantined as one text: then all indices are its own.
fn is_whole_body(place: &Place, entry: &QuarantineEntry<'_>) -> bool {
    let of_texts = [Reason::NotJson, Reason::Fragment, Reason::TooDeep, Reason::TooLarge];
    place.index == 0 && of_texts.iter().any(|reason| reason.as_str() == entry.reason)
}
