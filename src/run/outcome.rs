//! How an attempt ended, and what it left behind.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How one attempt ended: ways that look alike and are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited by itself, with that status.
    Exited(i32),
    /// A signal that boathook did not send killed it.
    Signaled(i32),
    /// It outlived its deadline, and its whole process group was ended.
    TimedOut,
    /// There was never a process: the program is missing, not executable, not trustworthy.
    NotStarted(String),
    /// The server answered the whole of it, with that HTTP status.
    Answered(u16),
    /// No whole answer came: the server cannot be reached, or broke off. It may have been told.
    Unreachable(String),
    /// Boathook stopped and took it along, was killed meanwhile, or could not begin it. It counts for
    /// nothing, and is repeated.
    Interrupted,
}

impl Outcome {
    /// The exit status by which a script asks to be tried again later (`EX_TEMPFAIL` of sysexits).
    pub const TRY_AGAIN: i32 = 75;

    /// The HTTP statuses by which a server does: Too Many Requests, and Service Unavailable.
    pub const TRY_AGAIN_HTTP: [u16; 2] = [429, 503];

    /// Whether the hook did what it should.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Exited(0) | Outcome::Answered(200..=299))
    }

    /// Whether the hook asks to be tried again later.
    pub fn asks_again(&self) -> bool {
        match self {
            Outcome::Exited(status) => *status == Outcome::TRY_AGAIN,
            Outcome::Answered(status) => Outcome::TRY_AGAIN_HTTP.contains(status),
            _ => false,
        }
    }

    /// A word for logs and JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Exited(_) => "exited",
            Outcome::Signaled(_) => "signaled",
            Outcome::TimedOut => "timed_out",
            Outcome::NotStarted(_) => "not_started",
            Outcome::Answered(_) => "answered",
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(status) => write!(f, "exited with {status}"),
            Outcome::Signaled(signal) => write!(f, "was killed by signal {signal}"),
            Outcome::TimedOut => f.write_str("took longer than it may"),
            Outcome::NotStarted(why) => write!(f, "could not be started: {why}"),
            Outcome::Answered(status) => write!(f, "was answered with {status}"),
            Outcome::Unreachable(why) => write!(f, "got no whole answer: {why}"),
            Outcome::Interrupted => f.write_str("was interrupted"),
        }
    }
}

/// What one attempt left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What it wrote to standard output.
    pub stdout: Captured,
    /// What it wrote to standard error.
    pub stderr: Captured,
}

/// What was written to one stream, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The text, lossily decoded. When it was too long: the beginning, a line that says what is
    /// left out, the end.
    pub text: String,
    /// How many bytes were written in all.
    pub bytes_total: u64,
}

/// What a script says to boathook: a JSON object on its standard output, or just words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// For the docker user, should this be a denial.
    pub message: Option<String>,
    /// For the clean-up.
    pub state: Option<Value>,
}

/// What was said last: the last line that is not blank, trimmed.
pub(crate) fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|it| !it.is_empty())
}

impl Output {
    /// The reply: `.message` and `.state` of a JSON object on standard output; without a message
    /// there, the last line of standard error.
    pub fn reply(&self) -> Reply {
        let object = serde_json::from_str(&self.stdout.text).ok().and_then(|value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        });
        let (message, state) = match object {
            Some(mut object) => {
                let message = object.get("message").and_then(Value::as_str).map(str::to_owned);
                (message, object.remove("state"))
            }
            None => (None, None),
        };
        let last_words = || last_line(&self.stderr.text).map(str::to_owned);
        Reply { message: message.or_else(last_words), state }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Captured, Outcome, Output};

    #[test]
    fn a_server_speaks_by_its_status_as_a_script_does() {
        let told = |status| (Outcome::Answered(status).is_success(), Outcome::Answered(status).asks_again());

        assert_eq!([200, 204, 299].map(told), [(true, false); 3]);
        assert_eq!([429, 503].map(told), [(false, true); 2]);
        assert_eq!([199, 301, 403, 500].map(told), [(false, false); 4]);
        assert!(Outcome::Exited(75).asks_again() && !Outcome::Exited(1).asks_again());
    }

    fn wrote(stdout: &str, stderr: &str) -> Output {
        let captured = |text: &str| Captured { text: text.into(), bytes_total: text.len() as u64 };
        Output { stdout: captured(stdout), stderr: captured(stderr) }
    }

    #[test]
    fn a_json_object_on_stdout_speaks_for_the_script() {
        let reply = wrote(r#"{"message":"no", "state": {"port": 7}}"#, "noise").reply();

        assert_eq!(reply.message.as_deref(), Some("no"));
        assert_eq!(reply.state, Some(json!({"port": 7})));
    }

    #[test]
    fn without_a_message_the_last_line_of_stderr_speaks() {
        for stdout in ["", "plain words", "[1]", r#"{"state": 1}"#, r#"{"message": 5}"#] {
            assert_eq!(
                wrote(stdout, "first\nlast \n\n").reply().message.as_deref(),
                Some("last"),
                "{stdout}"
            );
        }
        assert_eq!(wrote("words", "").reply().message, None);
        assert_eq!(wrote("words", "\n  \n").reply().message, None);
    }
}
