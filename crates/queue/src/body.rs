//! What a message may hold.

use crate::QueueError;

/// Most bytes in a message: the largest that a cloud queue can be set to take, and so what an envelope is cut to.
pub use tributary_batch::envelope::MAX_MESSAGE_BYTES;

/// Refuses a body that some backend would refuse, or would change without a word.
///
/// Every backend calls this first. A remote queue carries the characters of XML 1.0; depending on its version it refuses
/// a message with others or replaces them by U+FFFD, which would be a silent change of an event.
///
/// # Errors
/// [`QueueError::Empty`], [`QueueError::TooLarge`] or [`QueueError::ForbiddenCharacter`].
pub fn check_body(body: &str) -> Result<(), QueueError> {
    if body.is_empty() {
        return Err(QueueError::Empty);
    }
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(QueueError::TooLarge { size: body.len() });
    }
    match body.char_indices().find(|(_, character)| !is_carried(*character)) {
        Some((at, character)) => Err(QueueError::ForbiddenCharacter { code_point: character.into(), at }),
        None => Ok(()),
    }
}

/// The `Char` production of XML 1.0.
fn is_carried(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_place_and_no_content() {
        let error = check_body("secret\u{0}secret").unwrap_err().to_string();
        assert!(error.contains("U+0000 at byte 6"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn carried_characters_are_those_of_xml() {
        let refused: Vec<u32> =
            (0..=0x10FFFF).filter_map(char::from_u32).filter(|c| !is_carried(*c)).map(u32::from).collect();
        let expected: Vec<u32> = (0..0x20).filter(|c| ![0x9, 0xA, 0xD].contains(c)).chain([0xFFFE, 0xFFFF]).collect();
        assert_eq!(refused, expected);
    }
}
