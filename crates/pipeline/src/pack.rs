//! JSON documents in messages of bounded size.

/// The end of every message: its list's and its own.
const TAIL: &str = "]}";

/// What one message may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// Most bytes of a message, unless one document alone is larger.
    pub(crate) bytes: usize,
    /// Most documents.
    pub(crate) documents: usize,
}

/// Messages that begin with `head`, which opens an object and a list, and hold the documents in their order, in as few as
/// their share allows. Characters that queues do not carry are escaped.
pub(crate) fn pack<'d>(head: &str, documents: impl Iterator<Item = &'d str>, share: Share) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let (mut open, mut count) = (String::new(), 0);
    for document in documents {
        let full = open.len() + 1 + document.len() + TAIL.len() > share.bytes || count == share.documents;
        if full && count > 0 {
            messages.push(std::mem::take(&mut open) + TAIL);
            count = 0;
        }
        open.push_str(if count == 0 { head } else { "," });
        push(&mut open, document);
        count += 1;
    }
    if count > 0 {
        messages.push(open + TAIL);
    }
    messages
}

/// JSON escapes control characters; these two it does not have to, and they stand in texts only.
fn push(text: &mut String, document: &str) {
    if document.contains(['\u{fffe}', '\u{ffff}']) {
        text.push_str(&document.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"));
    } else {
        text.push_str(document);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = r#"{"schema":"x","list":["#;

    fn of(messages: &[String]) -> Vec<serde_json::Value> {
        let lists = messages.iter().map(|message| serde_json::from_str::<serde_json::Value>(message).unwrap());
        lists.flat_map(|message| message["list"].as_array().unwrap().clone()).collect()
    }

    #[test]
    fn every_document_stands_in_one_message() {
        let documents: Vec<String> =
            (0..1_000).map(|id| format!(r#"{{"id":{id},"x":"{}"}}"#, "u".repeat(300))).collect();
        let share = Share { bytes: 64 * 1024, documents: usize::MAX };
        let messages = pack(HEAD, documents.iter().map(String::as_str), share);
        assert!(messages.len() > 1 && messages.iter().all(|message| message.len() <= share.bytes));
        let ids: Vec<u64> = of(&messages).iter().map(|document| document["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (0..1_000).collect::<Vec<u64>>());
        let share = Share { documents: 300, ..share };
        let messages = pack(HEAD, documents.iter().map(String::as_str), Share { bytes: usize::MAX, ..share });
        assert_eq!(messages.len(), 4);
        assert_eq!(of(&messages).len(), 1_000);
        assert!(pack(HEAD, std::iter::empty(), share).is_empty());
    }

    #[test]
    fn a_document_larger_than_the_share_is_alone() {
        let (small, large) = ("1", format!("\"{}\"", "x".repeat(200)));
        let messages = pack(HEAD, [small, &large, small].into_iter(), Share { bytes: 100, documents: 10 });
        assert_eq!(messages.len(), 3);
        assert_eq!(of(&messages).len(), 3);
    }

    #[test]
    fn a_queue_takes_what_a_source_makes_up() {
        let document = "\"\u{fffe}\u{ffff}\u{fffd}\\\\u\"";
        let messages = pack(HEAD, [document].into_iter(), Share { bytes: 1_000, documents: 1 });
        assert!(messages.iter().all(|message| tributary_queue::check_body(message).is_ok()));
        assert_eq!(of(&messages), ["\u{fffe}\u{ffff}\u{fffd}\\u"]);
    }
}
