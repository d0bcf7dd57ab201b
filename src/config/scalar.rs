//! Readers of single values: text, numbers, words of a closed set.

use std::ops::RangeInclusive;

use super::node::{Node, Value};
use super::report::{Wrong, quoted};
use crate::near::{listed, nearest};

/// The text of a scalar, whatever it looks like: `3`, `true` and `"x"` are texts as well.
pub(super) fn text(node: &Node) -> Result<&str, Wrong> {
    let text = node.text().ok_or_else(|| wants("text", node))?;
    match text.contains('\0') {
        true => {
            let wrong = Wrong::new("nul", "holds a NUL character, which no program can be given");
            Err(wrong.help("remove the `\\0`"))
        }
        false => Ok(text),
    }
}

/// Text that is not empty.
pub(super) fn nonempty(node: &Node) -> Result<&str, Wrong> {
    match text(node)? {
        it if it.trim().is_empty() => {
            Err(Wrong::new("empty", "is empty").help("write something, or remove it"))
        }
        it => Ok(it),
    }
}

/// `true` or `false`, nothing that only looks like it.
pub(super) fn boolean(node: &Node) -> Result<bool, Wrong> {
    match &node.value {
        Value::Scalar { text, quoted: false } if text == "true" => Ok(true),
        Value::Scalar { text, quoted: false } if text == "false" => Ok(false),
        Value::Scalar { text, .. } => {
            Err(wants("true or false", node).help(match text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "true" => "write `true`, without quotes",
                "no" | "off" | "n" | "0" | "false" => "write `false`, without quotes",
                _ => "write `true` or `false`",
            }))
        }
        _ => Err(wants("true or false", node).help("write `true` or `false`")),
    }
}

/// A whole number within `range`.
pub(super) fn integer(node: &Node, range: RangeInclusive<i64>) -> Result<i64, Wrong> {
    let text = node.text().ok_or_else(|| wants("a number", node))?;
    let bounds = format!("write a whole number from {} to {}", range.start(), range.end());
    match text.parse::<i64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(number) => Err(Wrong::new("range", format!("is {number}, out of its range")).help(bounds)),
        Err(_) if text.chars().all(|c| c.is_ascii_digit()) => {
            Err(Wrong::new("range", "is a number too large to be meant").help(bounds))
        }
        Err(_) => {
            Err(Wrong::new("type", format!("wants a whole number, this is {}", quoted(text))).help(bounds))
        }
    }
}

/// A word of a closed set.
pub(super) fn one_of<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    let text = node.text().ok_or_else(|| wants(&listed(words.iter().map(|it| it.0), "or"), node))?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(unknown_word(text, words.iter().map(|it| it.0))),
    }
}

/// The mistake of a word that is none of `words`.
pub(super) fn unknown_word<'a>(written: &str, words: impl Iterator<Item = &'a str> + Clone) -> Wrong {
    let wrong = Wrong::new("unknown-value", format!("cannot be {}", quoted(written)));
    match nearest(written, words.clone()) {
        Some(word) => wrong.help(format!("did you mean `{word}`?")),
        None => wrong.help(format!("write {}", listed(words, "or"))),
    }
}

/// The mistake of a value of the wrong kind.
pub(super) fn wants(what: &str, node: &Node) -> Wrong {
    let help = match node.value {
        Value::List(_) => "write one value, without `[ ]` or `-`",
        Value::Map(_) => "write one value, not a table",
        _ if node.is_null() => "write one, or remove this",
        _ => return Wrong::new("type", format!("wants {what}, this is {}", node.kind())),
    };
    Wrong::new("type", format!("wants {what}, this is {}", node.kind())).help(help)
}

#[cfg(test)]
mod tests {
    use super::{Node, Value, boolean, integer, one_of, text};

    fn plain(text: &str) -> Node {
        Node { span: 0..0, value: Value::Scalar { text: text.to_owned(), quoted: false } }
    }

    fn quoted(text: &str) -> Node {
        Node { span: 0..0, value: Value::Scalar { text: text.to_owned(), quoted: true } }
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(boolean(&plain("true")), Ok(true));
        assert_eq!(boolean(&plain("false")), Ok(false));
        for (written, help) in
            [("yes", "write `true`, without quotes"), ("Off", "write `false`, without quotes")]
        {
            assert_eq!(boolean(&plain(written)).expect_err("it is wrong").help.as_deref(), Some(help));
        }
        assert!(boolean(&quoted("true")).is_err());
    }

    #[test]
    fn a_number_stays_within_its_range() {
        assert_eq!(integer(&plain("255"), 0..=255), Ok(255));
        for written in ["256", "-1", "1.5", "0x10", "99999999999999999999", "ten"] {
            assert!(integer(&plain(written), 0..=255).is_err(), "{written}");
        }
    }

    #[test]
    fn a_word_is_known_or_its_neighbour_is_named() {
        let words = [("open", 1), ("closed", 2)];

        assert_eq!(one_of(&plain("closed"), &words), Ok(2));
        assert_eq!(
            one_of(&plain("close"), &words).expect_err("it is wrong").help.as_deref(),
            Some("did you mean `closed`?")
        );
        assert_eq!(
            one_of(&plain("x"), &words).expect_err("it is wrong").help.as_deref(),
            Some("write `open` or `closed`")
        );
    }

    #[test]
    fn what_looks_like_a_number_can_be_text_and_nothing_cannot() {
        assert_eq!(text(&plain("1.10")), Ok("1.10"));
        assert_eq!(text(&quoted("")), Ok(""));
        assert!(text(&plain("~")).is_err());
        assert!(text(&quoted("a\0b")).is_err());
    }
}
