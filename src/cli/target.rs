//! What `boathook retry` is asked to try again, and whether there is anything to try.

use std::sync::Arc;

use super::failure::{Fix, UNREACHABLE, WRONG};
use super::ids::{self, IdError};
use super::store::StoreError;
use super::waiting::Watch;
use super::words::{debtor, of_what};
use crate::hook::Action;
use crate::journal::{DebtFilter, DebtRecord, ReadError, Reader, Record, Wish};
use crate::run::{DebtState, Phase, Run, RunId, RunState};

/// Why there is nothing to try again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RetryError {
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it was set up for goes on, or nothing is owed any more.
    #[error("debt `{id}` is {state}: there is nothing to try again")]
    NotDue { id: RunId, state: &'static str },
    /// The hook has no program.
    #[error("run `{id}` is of hook `{hook}`, which only says no: there is nothing to run")]
    OnlyDenies { id: RunId, hook: String },
    /// The run was a clean-up, or is forgotten, and nothing is owed.
    #[error("nothing of `{id}` is left to try again")]
    Forgotten { id: RunId },
}

impl From<ReadError> for RetryError {
    fn from(error: ReadError) -> RetryError {
        RetryError::Store(error.into())
    }
}

impl RetryError {
    pub(super) fn code(&self) -> u8 {
        match self {
            RetryError::Store(_) | RetryError::Id(IdError::Read(_)) => UNREACHABLE,
            _ => WRONG,
        }
    }
}

impl Fix for RetryError {
    fn fix(&self) -> Option<String> {
        match self {
            RetryError::Id(error) => error.fix(),
            RetryError::Store(error) => error.fix(),
            RetryError::NotDue { id, state } if *state == DebtState::Owed.name() => Some(format!(
                "`boathook debts` says when its clean-up runs; `boathook debts --forgive {id}` closes it"
            )),
            RetryError::NotDue { .. } | RetryError::OnlyDenies { .. } | RetryError::Forgotten { .. } => None,
        }
    }
}

/// What is to be tried again.
#[derive(Debug)]
pub(super) enum Target {
    /// A run that is planned, or under way: it ends without anybody's help.
    UnderWay(Arc<Run>),
    /// A run that waits for its next attempt.
    Waiting(Arc<Run>),
    /// A run that is over: its hook runs once more for the same event.
    Over(Arc<Run>),
    /// A debt that is due or given up.
    Debt(Box<DebtRecord>),
}

impl Target {
    /// What `text` names.
    pub(super) fn named(reader: &Reader, text: &str) -> Result<Target, RetryError> {
        let id = ids::find(reader, text)?;
        let run = ids::run(reader, &id)?;
        let debt = match &run {
            Some(record) => ids::debt_of(reader, record)?,
            None => ids::debt(reader, &id)?,
        };
        Target::choose(id, run, debt)
    }

    /// Every debt that was given up.
    pub(super) fn given_up(reader: &Reader) -> Result<Vec<Target>, ReadError> {
        let debts = reader.debts(&DebtFilter { limit: u32::MAX, ..DebtFilter::default() })?;
        let given_up = debts.into_iter().filter(|it| matches!(it.debt.state, DebtState::GivenUp { .. }));
        Ok(given_up.map(|it| Target::Debt(Box::new(it))).collect())
    }

    /// A debt has the id of the set-up that opened it. While it is to be paid the debt is meant; before, and
    /// only then, the set-up: what it was for goes on, and when that ends the debt falls due. Afterwards
    /// nobody would clean up what is set up once more.
    fn choose(id: RunId, run: Option<Record>, debt: Option<DebtRecord>) -> Result<Target, RetryError> {
        match (run, debt) {
            (run, Some(owed)) => match (&owed.debt.state, run) {
                (DebtState::Due { .. } | DebtState::GivenUp { .. }, _) => Ok(Target::Debt(Box::new(owed))),
                (DebtState::Owed, Some(record)) if record.run.phase == Phase::Setup => {
                    Target::of_run(&record)
                }
                (state, _) => Err(RetryError::NotDue { id: owed.debt.id.clone(), state: state.name() }),
            },
            (Some(record), None) if record.run.phase == Phase::Setup => Target::of_run(&record),
            (_, None) => Err(RetryError::Forgotten { id }),
        }
    }

    fn of_run(record: &Record) -> Result<Target, RetryError> {
        let run = record.run.clone();
        if let Action::Deny { .. } = run.hook.action {
            return Err(RetryError::OnlyDenies { id: run.id.clone(), hook: run.hook.name.to_string() });
        }
        Ok(match record.state {
            RunState::Planned | RunState::Running { .. } | RunState::Attempted { .. } => {
                Target::UnderWay(run)
            }
            RunState::Waiting { .. } => Target::Waiting(run),
            RunState::Concluded(_) => Target::Over(run),
        })
    }

    /// What the daemon is asked for; `None`: nothing.
    pub(super) fn wish(&self) -> Option<Wish> {
        match self {
            Target::UnderWay(_) => None,
            Target::Waiting(run) | Target::Over(run) => Some(Wish::RetryRun(run.id.clone())),
            Target::Debt(owed) => Some(Wish::RetryDebt(owed.debt.id.clone())),
        }
    }

    /// What tells that it has been done.
    pub(super) fn watch(&self, reader: &Reader) -> Result<Watch, ReadError> {
        match self {
            Target::UnderWay(run) | Target::Waiting(run) => Watch::on_run(reader, run),
            Target::Over(run) => Watch::on_another(reader, run),
            Target::Debt(owed) => Watch::on_debt(reader, &owed.debt.id, owed.debt.cleanup.deadline),
        }
    }

    pub(super) fn id(&self) -> &RunId {
        match self {
            Target::UnderWay(run) | Target::Waiting(run) | Target::Over(run) => &run.id,
            Target::Debt(owed) => &owed.debt.id,
        }
    }

    /// `run` or `debt`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Target::UnderWay(_) | Target::Waiting(_) | Target::Over(_) => "run",
            Target::Debt(_) => "debt",
        }
    }

    /// What is done, as one would say it.
    pub(super) fn what(&self) -> String {
        match self {
            Target::UnderWay(run) | Target::Waiting(run) | Target::Over(run) => {
                format!("`{}` for {}", run.hook.name, of_what(run))
            }
            Target::Debt(owed) => format!("the clean-up of `{}` for {}", owed.debt.hook, debtor(&owed.debt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{RetryError, Target};
    use crate::hook::{Action, Cleanup, Command, Deadline, Hook, Retry};
    use crate::journal::{DebtRecord, Record, Wish};
    use crate::launch::Launch;
    use crate::lifecycle::Point;
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Debt, DebtState, Phase, Run, RunId, RunIds, RunState};

    fn exec() -> Action {
        Action::Exec(Arc::new(Command {
            program: "/bin/true".into(),
            argv: ["true".into()].into(),
            working_dir: "/".into(),
            environment: [].into(),
            launch: Launch::default(),
        }))
    }

    fn run(phase: Phase) -> Run {
        let run = run_for(&RunIds::from(0), "web", None);
        let hook = Hook { action: exec(), ..Hook::clone(&run.hook) };
        Run { hook: Arc::new(hook), phase, ..Run::clone(&run) }
    }

    fn record(run: Run, state: RunState) -> Record {
        Record {
            run: Arc::new(run),
            state,
            attempts: Vec::new(),
            overtook: false,
            nested: Vec::new(),
            due_at: None,
            concluded_at: None,
        }
    }

    fn debt(run: &Run, state: DebtState) -> DebtRecord {
        let cleanup = Cleanup {
            at: [Point::PostStop].into_iter().collect(),
            action: exec(),
            deadline: Deadline::DEFAULT,
            retry: Retry::OF_CLEANUP,
        };
        let debt = Debt {
            id: run.id.clone(),
            hook: run.hook.name.clone(),
            subject: run.event.subject.clone(),
            object: None,
            passage: 1,
            cleanup: Arc::new(cleanup),
            event: run.event.clone(),
            setups: Vec::new(),
            state,
            opened_at: Timestamp::UNIX_EPOCH,
            closed_at: None,
        };
        DebtRecord { debt, attempts: Vec::new(), due_at: None }
    }

    fn wish(run: Run, state: RunState, owed: Option<DebtState>) -> Result<Option<Wish>, RetryError> {
        let (id, owed) = (run.id.clone(), owed.map(|it| debt(&run, it)));
        Target::choose(id, Some(record(run, state)), owed).map(|it| it.wish())
    }

    fn id() -> RunId {
        run(Phase::Setup).id
    }

    #[test]
    fn an_id_of_a_set_up_means_its_debt_only_while_that_is_to_be_paid() {
        let failed = RunState::Concluded(Conclusion::Failed);
        let wish = |owed| wish(run(Phase::Setup), failed, owed).expect("there is something to try");

        assert_eq!(wish(Some(DebtState::GivenUp { run: id() })), Some(Wish::RetryDebt(id())));
        assert_eq!(wish(Some(DebtState::Due { run: id() })), Some(Wish::RetryDebt(id())));
        assert_eq!(wish(Some(DebtState::Owed)), Some(Wish::RetryRun(id())));
        assert_eq!(wish(None), Some(Wish::RetryRun(id())));
    }

    #[test]
    fn nothing_is_set_up_once_more_that_nobody_would_clean_up() {
        for state in [DebtState::Paid, DebtState::Forgiven, DebtState::Merged { into: id() }] {
            let name = state.name();
            let refused = wish(run(Phase::Setup), RunState::Concluded(Conclusion::Done), Some(state));

            assert!(matches!(refused, Err(RetryError::NotDue { state, .. }) if state == name), "{refused:?}");
        }
    }

    #[test]
    fn a_clean_up_is_tried_again_only_while_its_debt_is_to_be_paid() {
        let failed = RunState::Concluded(Conclusion::Failed);

        let given_up = wish(run(Phase::Cleanup), failed, Some(DebtState::GivenUp { run: id() }));
        assert_eq!(given_up.expect("it is to be paid"), Some(Wish::RetryDebt(id())));
        let paid = wish(run(Phase::Cleanup), failed, Some(DebtState::Paid));
        assert!(matches!(paid, Err(RetryError::NotDue { state: "paid", .. })));
    }

    #[test]
    fn nothing_is_asked_for_what_is_under_way() {
        let running = wish(run(Phase::Setup), RunState::Running { attempt: 1 }, None);
        let waiting = wish(run(Phase::Setup), RunState::Waiting { attempts: 1 }, None);

        assert_eq!(running.expect("it ends"), None);
        assert_eq!(waiting.expect("it waits"), Some(Wish::RetryRun(id())));
    }

    #[test]
    fn a_hook_without_a_program_has_nothing_to_run() {
        let run = run(Phase::Setup);
        let deny = Action::Deny { message: "no".to_owned() };
        let hook = Hook { action: deny, ..Hook::clone(&run.hook) };

        let denied = wish(Run { hook: Arc::new(hook), ..run }, RunState::Concluded(Conclusion::Denied), None);

        assert!(matches!(denied, Err(RetryError::OnlyDenies { .. })));
    }
}
