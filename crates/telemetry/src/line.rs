//! Texts of others in one log line: errors of services and libraries, whose length and shape nobody here decides.

/// White space becomes single blanks; what is longer than `most` characters is cut, with a mark.
pub fn one_line(text: &str, most: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= most { joined } else { joined.chars().take(most).chain(['…']).collect() }
}

/// An error with its causes: many a library's own text says only that something failed.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_cut_between_characters() {
        assert_eq!(one_line(" a\n  b\t", 9), "a b");
        assert_eq!(one_line("éééé", 3), "ééé…");
    }

    #[test]
    fn causes_follow_what_they_caused() {
        let cause = std::io::Error::other("no route");
        let error = std::io::Error::other(cause);
        assert!(with_causes(&error).starts_with("no route"));
    }
}
