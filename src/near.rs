//! The word that was probably meant.

use strsim::damerau_levenshtein;

/// The word of `known` that is nearest to `written`, if one is near enough to be meant.
///
/// Case and the marks between words do not count: `preCreate` and `pre-create` are `pre_create`.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Beyond this nothing is a slip of the finger, and comparing would cost.
    const CHARS_MAX: usize = 64;

    let written = folded(written);
    if written.is_empty() || written.len() > CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|word| (damerau_levenshtein(&written, &folded(word)), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1) && *distance < written.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The words for a sentence: `a`, `b` or `c`.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => words.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::{listed, nearest};

    const WORDS: [&str; 4] = ["timeout", "name", "pre_create", "at"];

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(nearest("timout", WORDS), Some("timeout"));
        assert_eq!(nearest("tiemout", WORDS), Some("timeout"));
        assert_eq!(nearest("PreCreate", WORDS), Some("pre_create"));
        assert_eq!(nearest("pre-creat", WORDS), Some("pre_create"));
    }

    #[test]
    fn what_is_not_near_finds_nothing() {
        assert_eq!(nearest("colour", WORDS), None);
        assert_eq!(nearest("x", WORDS), None);
        assert_eq!(nearest("", WORDS), None);
        assert_eq!(nearest(&"timeout".repeat(10_000), WORDS), None);
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(listed(["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(listed(["a"], "or"), "`a`");
        assert_eq!(listed([], "or"), "");
    }
}
