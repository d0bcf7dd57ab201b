//! Where a connection stands between two calls.
//!
//! A drain must tell a connection that rests, and may be closed, from one that owes an answer. HTTP alone
//! does not say: a request whose first bytes have come is owed an answer too. Three places see a part of it
//! each (the stream sees bytes, the service sees calls), and this table puts them together.

/// The stage of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Accepted, nothing has come yet. Whoever connected is about to send.
    Fresh,
    /// A request has begun to come and its headers are incomplete.
    Receiving,
    /// A call is read and answered.
    Calling,
    /// The answer is known and not yet written.
    Replying,
    /// At least one call was answered, and nothing of the next has come.
    Idle,
}

/// What moves a connection to another stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The server wants to read. After an answer this means that the answer has been written: HTTP/1 is half
    /// duplex here, the next request is read only then.
    ReadWanted,
    /// Bytes have come.
    Bytes,
    /// The headers of a call were complete.
    Call,
    /// The call has its answer.
    Answer,
    /// The connection is being closed, everything is written.
    Closing,
}

impl Stage {
    /// The stage after `seen`.
    ///
    /// A client that sends its next request without waiting for the answer (no engine does) has it in the
    /// server's buffer already: then a call follows on any stage. If only a part of it is there, `Idle` is
    /// wrong, and a drain may close that connection. Such a client must expect that after any answer.
    pub(crate) fn after(self, seen: Seen) -> Stage {
        match (self, seen) {
            (_, Seen::Call) => Stage::Calling,
            (Stage::Fresh | Stage::Idle, Seen::Bytes) => Stage::Receiving,
            (Stage::Calling, Seen::Answer) => Stage::Replying,
            (Stage::Replying, Seen::ReadWanted | Seen::Closing) => Stage::Idle,
            (stage, _) => stage,
        }
    }

    /// Whether the client is owed an answer.
    pub(crate) fn owes_answer(self) -> bool {
        matches!(self, Stage::Receiving | Stage::Calling | Stage::Replying)
    }

    /// The stage with this number.
    pub(crate) fn from_number(number: u8) -> Stage {
        [Stage::Fresh, Stage::Receiving, Stage::Calling, Stage::Replying, Stage::Idle][usize::from(number)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seen: &[Seen]) -> Stage {
        seen.iter().fold(Stage::Fresh, |stage, seen| stage.after(*seen))
    }

    #[test]
    fn a_connection_is_idle_only_once_its_answer_is_written() {
        let mut seen = vec![Seen::ReadWanted, Seen::Bytes, Seen::Call, Seen::Bytes, Seen::Answer];
        assert_eq!(after(&seen), Stage::Replying);

        seen.push(Seen::ReadWanted);
        assert_eq!(after(&seen), Stage::Idle);
    }

    #[test]
    fn the_first_bytes_of_a_request_make_an_answer_owed() {
        assert!(!after(&[Seen::ReadWanted]).owes_answer());
        assert!(after(&[Seen::ReadWanted, Seen::Bytes, Seen::ReadWanted]).owes_answer());
    }

    #[test]
    fn the_bytes_of_a_body_do_not_begin_another_request() {
        assert_eq!(after(&[Seen::Bytes, Seen::Call, Seen::ReadWanted, Seen::Bytes]), Stage::Calling);
    }

    #[test]
    fn a_request_that_was_sent_ahead_is_a_call_without_new_bytes() {
        assert_eq!(
            after(&[Seen::Bytes, Seen::Call, Seen::Answer, Seen::ReadWanted, Seen::Call]),
            Stage::Calling
        );
    }

    #[test]
    fn every_stage_is_found_by_its_number() {
        for stage in [Stage::Fresh, Stage::Receiving, Stage::Calling, Stage::Replying, Stage::Idle] {
            assert_eq!(Stage::from_number(stage as u8), stage);
        }
    }
}
