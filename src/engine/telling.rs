//! What the log says of runs.

use std::time::Duration;

use tracing::{info, warn};

use crate::run::{Outcome, Output, Phase, Run};

/// How much of what a script wrote is put in the log, in characters. The rest is in the journal.
const LOGGED_CHARS_MAX: usize = 2048;

pub(super) fn log_attempt(run: &Run, attempt: u32, took: Duration, outcome: &Outcome, output: &Output) {
    let cut = |text: &str| text.trim_end().chars().take(LOGGED_CHARS_MAX).collect::<String>();
    let (stdout, stderr) = (cut(&output.stdout.text), cut(&output.stderr.text));
    let event = &run.event;
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident, $text:literal) => {
            $level!(
                run = %run.id, hook = %run.hook.name, point = %event.point, phase = run.phase.name(),
                subject = %event.subject, container = event.facts.display_name(),
                cause = event.cause.name(), attempt, outcome = outcome.name(), detail = %outcome, took_ms,
                stdout, stderr, $text
            )
        };
    }
    match (outcome.is_success(), run.phase) {
        (true, Phase::Setup) => line!(info, "hook ran"),
        (true, Phase::Cleanup) => line!(info, "hook cleaned up"),
        (false, Phase::Setup) => line!(warn, "hook failed"),
        (false, Phase::Cleanup) => line!(warn, "clean-up failed"),
    }
}
