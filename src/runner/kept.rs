//! What is kept in memory of what a server or a container says.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::shortened;
use crate::run::Captured;

/// What is kept of a stream: its beginning, and, once it is longer than what is kept, its end.
pub(super) struct Kept {
    max: usize,
    /// The first bytes, at most `max`.
    head: Vec<u8>,
    /// The last bytes of those behind `head`, about half of `max`.
    tail: Vec<u8>,
    bytes_total: u64,
}

impl Kept {
    pub(super) fn at_most(max: usize) -> Kept {
        Kept { max, head: Vec::new(), tail: Vec::new(), bytes_total: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes_total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.max - self.head.len()));
        self.head.extend_from_slice(head);
        // Cut seldom, so that each byte is moved about once.
        for part in rest.chunks(self.max.max(1)) {
            self.tail.extend_from_slice(part);
            if self.tail.len() > self.max {
                self.tail.drain(..self.tail.len() - self.max / 2);
            }
        }
    }

    pub(super) fn captured(&self) -> Captured {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.bytes_total <= self.max as u64 {
            return Captured { text: text(&self.head), bytes_total: self.bytes_total };
        }
        let half = self.max / 2;
        let (head, behind) = self.head.split_at(half);
        let mut end = behind.to_vec();
        end.extend_from_slice(&self.tail);
        let tail = &end[end.len() - half..];
        shortened(&text(head), &text(tail), self.bytes_total)
    }
}

/// What a panic left behind is whole: nothing is done in between that could panic.
pub(super) fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Kept;

    fn kept(max: usize, parts: &[&str]) -> String {
        let mut kept = Kept::at_most(max);
        parts.iter().for_each(|it| kept.push(it.as_bytes()));
        kept.captured().text
    }

    #[test]
    fn an_answer_that_fits_is_kept_whole() {
        assert_eq!(kept(8, &["abcd", "", "efgh"]), "abcdefgh");
        assert_eq!(kept(8, &[]), "");
    }

    #[test]
    fn of_a_long_answer_the_beginning_and_the_end_are_kept() {
        let long: Vec<String> = (0..1000).map(|it| format!("{it:04} ")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();

        assert_eq!(kept(20, &long), "0000 0001 \n… 4980 bytes left out …\n0998 0999 ");
        assert_eq!(kept(20, &[long.concat().as_str()]), kept(20, &long));
        assert_eq!(kept(8, &["abcdefgh", "i"]), "abcd\n… 1 bytes left out …\nfghi");
    }
}
