//! What a value is compared with.
//!
//! A pattern is a glob over the whole value: `*` stands for any text, slashes included, `?` for one
//! character, `[a-z]` and `[!a-z]` for one of a class, `{a,b}` for one of several; `\` takes the
//! special meaning from the character after it. With `~` in front it is a regular expression that the
//! whole value must match; a glob that begins with a `~` is written `\~…`. Letters are compared to the
//! case; `~(?i)…` does not.
//!
//! Gates ask while somebody waits: patterns are compiled when the configuration is read, matching
//! takes time linear in the value, and what holds no more than one `*` is compared without the regex
//! engine: 4 ns where that takes 15 to 100. From two `*` on the engine's search for text is the faster.

use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes: `\w{10}` fits, and a thousand of the largest are
/// still no danger to the daemon.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// How much one pattern may remember to match faster, in bytes, for each thread that uses it.
const CACHE_BYTES_MAX: usize = 256 << 10;

/// A glob or a regular expression that a whole value must match.
#[derive(Clone, Debug)]
pub struct Pattern {
    written: Box<str>,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Text without a wildcard.
    Text(Box<str>),
    /// One `*`, and what stands before and after it.
    Ends { before: Box<str>, after: Box<str> },
    /// Everything else.
    Regex(Regex),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A class without its end.
    #[error("its `[` is never closed")]
    OpenClass,
    /// Alternatives without their end.
    #[error("its `{{` is never closed")]
    OpenAlternatives,
    /// An end of alternatives without their beginning.
    #[error("its `}}` closes nothing")]
    StrayBrace,
    /// A class with a range that holds nothing.
    #[error("its range `{from}-{to}` runs backwards")]
    Backwards {
        /// The beginning of the range.
        from: char,
        /// Its end, which comes before it.
        to: char,
    },
    /// A `\` at the end.
    #[error("the `\\` at its end stands before nothing")]
    DanglingEscape,
    /// Not a regular expression.
    #[error("{0}")]
    Regex(String),
    /// It would take more memory than a pattern may.
    #[error("it is too large once compiled")]
    TooLarge,
}

impl Pattern {
    /// The pattern.
    ///
    /// # Errors
    ///
    /// When it is no glob, or after a `~` no regular expression, or one that is too large.
    pub fn parse(written: &str) -> Result<Pattern, PatternError> {
        let matcher = match written.strip_prefix('~') {
            Some(expression) => Matcher::Regex(anchored(expression)?),
            None => of_glob(&pieces(written)?)?,
        };
        Ok(Pattern { written: written.into(), matcher })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The only value that matches, if there is only one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.matcher {
            Matcher::Text(text) => Some(text),
            Matcher::Ends { .. } | Matcher::Regex(_) => None,
        }
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        match &self.matcher {
            Matcher::Text(text) => **text == *value,
            Matcher::Ends { before, after } => {
                // Comparing nothing costs a hundred nanoseconds where the C library does it by masked
                // loads: the address of an empty text is not a place in memory.
                // And most values differ in their first letter already.
                value.len() >= before.len() + after.len()
                    && (before.is_empty()
                        || (before.as_bytes()[0] == value.as_bytes()[0] && value.starts_with(&**before)))
                    && (after.is_empty() || value.ends_with(&**after))
            }
            Matcher::Regex(regex) => regex.is_match(value),
        }
    }
}

/// A regular expression for whole values.
fn anchored(expression: &str) -> Result<Regex, PatternError> {
    // By itself first: `a)(b` makes sense only between the brackets that are put around it here.
    compiled(expression)?;
    compiled(&format!(r"\A(?:{expression})\z"))
}

fn compiled(expression: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(expression)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            // The last of its lines says what is wrong, those above repeat the expression.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                PatternError::Regex(last.strip_prefix("error: ").unwrap_or(last).to_owned())
            }
        })
}

/// One part of a glob.
enum Piece {
    Char(char),
    /// Any text. No two follow each other.
    Star,
    /// Something that has to be left to the regex engine, in its words.
    Other(String),
}

fn pieces(glob: &str) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    let mut alternatives = 0_usize;
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        let other = |expression: &str| Piece::Other(expression.to_owned());
        pieces.push(match c {
            '*' if matches!(pieces.last(), Some(Piece::Star)) => continue,
            '*' => Piece::Star,
            '?' => other("."),
            '[' => Piece::Other(class(&mut chars)?),
            '{' => {
                alternatives += 1;
                other("(?:")
            }
            ',' if alternatives > 0 => other("|"),
            '}' => {
                alternatives = alternatives.checked_sub(1).ok_or(PatternError::StrayBrace)?;
                other(")")
            }
            '\\' => Piece::Char(chars.next().ok_or(PatternError::DanglingEscape)?),
            c => Piece::Char(c),
        });
    }
    if alternatives > 0 { Err(PatternError::OpenAlternatives) } else { Ok(pieces) }
}

/// The class whose `[` has just been read. A `]` right after that is one of its characters.
fn class(chars: &mut Chars<'_>) -> Result<String, PatternError> {
    let mut class = String::from("[");
    if chars.as_str().starts_with(['!', '^']) {
        chars.next();
        class.push('^');
    }
    let mut first = true;
    loop {
        let from = chars.next().ok_or(PatternError::OpenClass)?;
        if from == ']' && !first {
            break;
        }
        first = false;
        let from = unescaped(from, chars)?;
        class += &regex::escape(from.encode_utf8(&mut [0; 4]));
        let mut ahead = chars.clone();
        if let (Some('-'), Some(to)) = (ahead.next(), ahead.next().filter(|it| *it != ']')) {
            let to = unescaped(to, &mut ahead)?;
            if from > to {
                return Err(PatternError::Backwards { from, to });
            }
            class.push('-');
            class += &regex::escape(to.encode_utf8(&mut [0; 4]));
            *chars = ahead;
        }
    }
    class.push(']');
    Ok(class)
}

fn unescaped(c: char, rest: &mut Chars<'_>) -> Result<char, PatternError> {
    if c == '\\' { rest.next().ok_or(PatternError::OpenClass) } else { Ok(c) }
}

fn of_glob(pieces: &[Piece]) -> Result<Matcher, PatternError> {
    let text = |pieces: &[Piece]| {
        let chars = pieces.iter().map(|it| if let Piece::Char(c) = it { Some(*c) } else { None });
        chars.collect::<Option<String>>().map(String::into_boxed_str)
    };
    if let Some(text) = text(pieces) {
        return Ok(Matcher::Text(text));
    }
    if let Some(star) = pieces.iter().position(|it| matches!(it, Piece::Star))
        && let (Some(before), Some(after)) = (text(&pieces[..star]), text(&pieces[star + 1..]))
    {
        return Ok(Matcher::Ends { before, after });
    }
    let words = pieces.iter().map(|it| match it {
        Piece::Char(c) => regex::escape(c.encode_utf8(&mut [0; 4])),
        Piece::Star => ".*".to_owned(),
        Piece::Other(expression) => expression.clone(),
    });
    let expression = format!(r"(?s)\A(?:{})\z", words.collect::<String>());
    // A glob that is one can only be too large, or have alternatives within alternatives without end.
    compiled(&expression).map(Matcher::Regex).map_err(|_| PatternError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::{Matcher, Pattern, PatternError};

    fn pattern(written: &str) -> Pattern {
        Pattern::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"))
    }

    #[test]
    fn each_form_of_a_pattern_takes_the_whole_value() {
        for (written, yes, no) in [
            ("web", &["web"][..], &["", "Web", "web-1", "my-web", "we"][..]),
            ("web-*", &["web-", "web-1", "web-ü/x\ny"], &["web", "my-web-1"]),
            ("*-web", &["-web", "a-web"], &["web", "a-web-"]),
            ("aba*ba", &["ababa", "aba/ba"], &["aba", "abba"]),
            ("*", &["", "x", "\n"], &[]),
            ("**", &["", "a/b"], &[]),
            ("*b*", &["b", "abc"], &["", "ac"]),
            ("a*b*c", &["abc", "a/b\nc"], &["acb", "ab"]),
            ("web-?", &["web-1", "web-ü", "web-\n"], &["web-", "web-12"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx", "üx"], &["ax", "x"]),
            ("[à-ü]", &["ö"], &["o", "öö"]),
            ("[]a-]", &["]", "a", "-"], &["b", ""]),
            ("[a\\]b]", &["]", "b"], &["\\"]),
            ("{web,db-*}.prod", &["web.prod", "db-1.prod"], &["web", "db.prod", "{web.prod"]),
            ("{a,b{c,d}}", &["a", "bc", "bd"], &["b", "c"]),
            ("a,b", &["a,b"], &["a", "b"]),
            ("a.b+(c)|$", &["a.b+(c)|$"], &["aXb+(c)|$"]),
            ("\\*", &["*"], &["", "x", "\\*"]),
            ("\\~x", &["~x"], &["x"]),
            ("a\\{b", &["a{b"], &["ab"]),
            ("~web-[0-9]+", &["web-1", "web-12"], &["web-", "web-1x", "my-web-1"]),
            ("~a|b", &["a", "b"], &["ab", "xa"]),
            ("~(?i)WEB", &["web", "Web"], &["webs"]),
            ("~", &[""], &["x"]),
            ("", &[""], &["x"]),
        ] {
            for value in yes {
                assert!(pattern(written).matches(value), "{written} takes {value:?}");
            }
            for value in no {
                assert!(!pattern(written).matches(value), "{written} does not take {value:?}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let error = |written: &str| Pattern::parse(written).expect_err(written);

        assert_eq!(error("web-[ab"), PatternError::OpenClass);
        assert_eq!(error("web-[ab\\"), PatternError::OpenClass);
        assert_eq!(error("[]"), PatternError::OpenClass);
        assert_eq!(error("{a,b"), PatternError::OpenAlternatives);
        assert_eq!(error("a}"), PatternError::StrayBrace);
        assert_eq!(error("[z-a]"), PatternError::Backwards { from: 'z', to: 'a' });
        assert_eq!(error("a\\"), PatternError::DanglingEscape);
        assert_eq!(error("~a(b"), PatternError::Regex("unclosed group".to_owned()));
        assert_eq!(error("~a)(b"), PatternError::Regex("unopened group".to_owned()));
        assert_eq!(error("~(a{100}){1000}"), PatternError::TooLarge);
        assert_eq!(
            error(&"{".repeat(600).chars().chain("}".repeat(600).chars()).collect::<String>()),
            PatternError::TooLarge
        );
    }

    #[test]
    fn what_is_common_needs_no_regex_engine() {
        for written in ["web", "web-*", "*.prod", "a*b", "\\[a]", "registry:5000/**"] {
            assert!(!matches!(pattern(written).matcher, Matcher::Regex(_)), "{written}");
        }
    }

    /// Whether `value` matches a glob of letters, `*` and `?`, by trying everything.
    fn naive(glob: &[char], value: &[char]) -> bool {
        match glob {
            [] => value.is_empty(),
            ['*', rest @ ..] => (0..=value.len()).any(|skip| naive(rest, &value[skip..])),
            ['?', rest @ ..] => value.split_first().is_some_and(|(_, after)| naive(rest, after)),
            [c, rest @ ..] => value.split_first().is_some_and(|(it, after)| it == c && naive(rest, after)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_way_of_matching_agrees_with_trying_everything(
            glob in vec(select(&['a', 'ü', '*', '*', '?'][..]), 0..6),
            value in vec(select(&['a', 'ü', '/'][..]), 0..6),
        ) {
            let found = pattern(&glob.iter().collect::<String>()).matches(&value.iter().collect::<String>());

            prop_assert_eq!(found, naive(&glob, &value));
        }
    }
}
