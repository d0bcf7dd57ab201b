//! The tasks under way, and how they end.

use std::collections::{HashMap, HashSet};

use tokio::runtime::Handle;
use tokio::task::{self, JoinError, JoinSet};

use super::DaemonError;

/// The tasks under way.
#[derive(Default)]
pub(super) struct Running {
    tasks: JoinSet<(&'static str, Result<(), DaemonError>)>,
    names: HashMap<task::Id, &'static str>,
    /// Tasks that have been told to end before the others.
    dismissed: HashSet<task::Id>,
}

impl Running {
    pub(super) fn spawn(
        &mut self,
        part: &'static str,
        on: &Handle,
        task: impl Future<Output = Result<(), DaemonError>> + Send + 'static,
    ) -> task::Id {
        let id = self.tasks.spawn_on(async move { (part, task.await) }, on).id();
        self.names.insert(id, part);
        id
    }

    /// Expects these tasks to end.
    pub(super) fn dismiss(&mut self, tasks: &[task::Id]) {
        self.dismissed.extend(tasks);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for a part that ends although nobody has told it to: a fault even without an error.
    pub(super) async fn next(&mut self) -> Result<(), DaemonError> {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            match ended {
                Ok((id, (_, Ok(())))) if self.dismissed.remove(&id) => {}
                Ok((_, (_, Err(error)))) => return Err(error),
                Ok((_, (part, Ok(())))) => return Err(DaemonError::Fault { part, source: None }),
                Err(panic) => return Err(self.panicked(panic)),
            }
        }
        Ok(())
    }

    /// Waits for a part that has been told to end.
    pub(super) async fn drained(&mut self) -> Result<(), DaemonError> {
        match self.tasks.join_next().await {
            Some(Ok((_, result))) => result,
            Some(Err(panic)) => Err(self.panicked(panic)),
            None => Ok(()),
        }
    }

    fn panicked(&self, panic: JoinError) -> DaemonError {
        let part = self.names.get(&panic.id()).copied().unwrap_or("a task");
        DaemonError::Fault { part, source: Some(panic) }
    }
}
