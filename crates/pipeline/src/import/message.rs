//! The message that carries findings: `{"schema":"tributary.findings/1","batch":id,"findings":[…]}`.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_batch::BatchId;
use tributary_delivery::Entry;

use crate::pack::{Share, pack};

const SCHEMA: &str = "tributary.findings/1";
/// One call's findings of usual size; with one of 240 KB more it is still well below what a queue takes.
const SHARE: Share = Share { bytes: 512 * 1024, documents: 100 };

/// Why a message cannot be read. Its text says nothing of what the message holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message holds no findings ({0}): only the transformer may write to this queue")]
pub struct NotFindings(String);

/// Findings of one batch, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FindingsMessage {
    pub(crate) batch: BatchId,
    /// Each finding under its `Id`.
    pub(crate) findings: Vec<Entry>,
}

#[derive(Deserialize)]
struct Written<'m> {
    schema: &'m str,
    batch: BatchId,
    #[serde(borrow)]
    findings: Vec<&'m RawValue>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "Id")]
    id: String,
}

impl FindingsMessage {
    /// Reads a message.
    pub(crate) fn read(body: &str) -> Result<Self, NotFindings> {
        // serde's own words may quote what it read.
        let place = |error: &serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let written: Written<'_> = serde_json::from_str(body).map_err(|error| NotFindings(place(&error)))?;
        if written.schema != SCHEMA {
            return Err(NotFindings(format!("its schema is not {SCHEMA}")));
        }
        let entry = |(at, raw): (usize, &RawValue)| {
            let head: Head =
                serde_json::from_str(raw.get()).map_err(|_| NotFindings(format!("finding {at} has no Id")))?;
            Ok(Entry::new(head.id, raw.get()))
        };
        let findings = (0..).zip(written.findings).map(entry).collect::<Result<_, _>>()?;
        Ok(Self { batch: written.batch, findings })
    }
}

/// Findings of a batch, each a JSON document, in as few messages as their size allows.
pub(crate) fn messages<'f>(batch: &BatchId, findings: impl Iterator<Item = &'f str>) -> Vec<String> {
    pack(&format!(r#"{{"schema":"{SCHEMA}","batch":"{batch}","findings":["#), findings, SHARE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let findings: Vec<Entry> =
            (0..250).map(|n| Entry::new(format!("id/{n}"), format!(r#"{{"Id":"id\/{n}","Title":"\"ä"}}"#))).collect();
        let batch = BatchId::for_content(b"x");
        let messages = messages(&batch, findings.iter().map(Entry::document));
        assert_eq!(messages.len(), 3);
        let read: Vec<FindingsMessage> = messages.iter().map(|text| FindingsMessage::read(text).unwrap()).collect();
        assert!(read.iter().all(|message| message.batch == batch));
        assert_eq!(read.into_iter().flat_map(|message| message.findings).collect::<Vec<_>>(), findings);
    }

    #[test]
    fn the_largest_findings_stay_well_below_what_a_queue_takes() {
        let large = "x".repeat(239_990);
        let findings: Vec<String> = (0..20).map(|n| format!(r#"{{"Id":"{n}","x":"{large}"}}"#)).collect();
        let messages = messages(&BatchId::for_content(b"x"), findings.iter().map(String::as_str));
        assert!(messages.iter().all(|message| message.len() <= 600_000), "{:?}", messages.iter().map(String::len));
        assert_eq!(messages.len(), 10);
    }

    #[test]
    fn what_is_no_findings_is_said_without_its_content() {
        for body in [
            "",
            "[]",
            "hunter2",
            r#"{"schema":"hunter2","batch":"BATCH","findings":[]}"#,
            r#"{"schema":"tributary.findings/1","batch":"Hunter2","findings":[]}"#,
            r#"{"schema":"tributary.findings/1","batch":"BATCH","findings":["hunter2"]}"#,
            r#"{"schema":"tributary.findings/1","batch":"BATCH","findings":[{"Id":7,"x":"hunter2"}]}"#,
            r#"{"schema":"tributary.findings/1","findings":"hunter2"}"#,
        ] {
            let body = body.replace("BATCH", BatchId::for_content(b"x").as_str());
            let error = FindingsMessage::read(&body).unwrap_err().to_string();
            assert!(!error.to_lowercase().contains("hunter2") && error.contains("only the transformer"), "{error}");
        }
    }
}
