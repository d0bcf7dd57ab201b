//! What a clean-up is told of the set-ups that it cleans up after.

use schemars::JsonSchema;
use serde::Serialize;

use crate::run::{Outcome, Phase, Run, Setup};

/// A set-up that has begun, and has perhaps not come to its end.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Setup")]
pub(super) struct SetupDocument<'a> {
    /// The id of its run.
    run: &'a str,
    /// How its last attempt ended: `exited`, `signaled`, `timed_out`, `not_started`, `interrupted`, or
    /// another word; null where nobody saw the end, because boathook was killed, say.
    outcome: Option<&'a str>,
    /// The exit status, if it exited; null otherwise.
    exit_code: Option<i32>,
    /// What its last attempt wrote to standard output, as far as it is kept.
    stdout: &'a str,
    /// The `state` that it handed over: that of the last attempt which told one; null without one.
    state: Option<&'a serde_json::Value>,
}

impl<'a> SetupDocument<'a> {
    /// What `run` cleans up after; `None` if it sets something up itself.
    pub(super) fn all(run: &'a Run) -> Option<Vec<SetupDocument<'a>>> {
        match run.phase {
            Phase::Setup => None,
            Phase::Cleanup => Some(run.setups.iter().map(SetupDocument::of).collect()),
        }
    }

    fn of(setup: &'a Setup) -> SetupDocument<'a> {
        SetupDocument {
            run: setup.run.as_str(),
            outcome: setup.outcome.as_ref().map(Outcome::name),
            exit_code: match setup.outcome {
                Some(Outcome::Exited(status)) => Some(status),
                _ => None,
            },
            stdout: &setup.stdout,
            state: setup.state.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, Phase, Run, Setup, SetupDocument};
    use crate::run::RunIds;
    use crate::run::examples::run_for;

    /// What a run is told that cleans up after these set-ups.
    fn told(setups: Vec<Setup>) -> serde_json::Value {
        let run = run_for(&RunIds::from(0), "web", None);
        let run = Run { phase: Phase::Cleanup, setups, ..Run::clone(&run) };
        serde_json::to_value(SetupDocument::all(&run)).expect("it is JSON")
    }

    #[test]
    fn a_clean_up_is_told_how_each_set_up_ended_and_what_it_said() {
        let ids = RunIds::from(0);
        let id = || ids.next(jiff::Timestamp::UNIX_EPOCH);
        let (first, second) = (id(), id());
        let done = Setup {
            outcome: Some(Outcome::Exited(0)),
            stdout: "{\"state\": {\"port\": 80}}".to_owned(),
            state: Some(json!({"port": 80})),
            ..Setup::begun(first.clone())
        };
        let killed = Setup { outcome: Some(Outcome::Signaled(9)), ..Setup::begun(second.clone()) };

        assert_eq!(
            told(vec![done, killed]),
            json!([
                {
                    "run": first.as_str(), "outcome": "exited", "exit_code": 0,
                    "stdout": "{\"state\": {\"port\": 80}}", "state": {"port": 80}
                },
                {"run": second.as_str(), "outcome": "signaled", "exit_code": null, "stdout": "", "state": null},
            ])
        );
    }

    #[test]
    fn the_end_of_a_set_up_that_nobody_saw_is_not_made_up() {
        let begun = Setup::begun(RunIds::from(0).next(jiff::Timestamp::UNIX_EPOCH));

        let told = told(vec![begun]);

        assert_eq!((&told[0]["outcome"], &told[0]["exit_code"]), (&json!(null), &json!(null)));
    }

    #[test]
    fn a_set_up_is_told_of_none() {
        let run = run_for(&RunIds::from(0), "web", None);

        assert!(SetupDocument::all(&run).is_none());
    }
}
