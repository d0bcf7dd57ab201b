//! One command of a hook in a container that runs already: a stay.
//!
//! The engine starts it, hands it the document, and tells what it writes and how it ends. The engine
//! cannot end it: its processes are ended from here, where they are seen as any others, known by the id
//! of the run in their environment. Nothing of a stay is left behind when it is over. Its own future
//! drives it: no task is left behind when it is dropped.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::debug;

use super::kept::{Kept, locked};
use super::survivors::Survivor;
use crate::docker::{Attached, Docker, DockerError, Exec, Said};
use crate::hook::Inside;
use crate::lifecycle::{Event, Facts, Point};
use crate::run::{Outcome, Output, Run};

/// How often the engine is asked whether the command has ended. Its output mostly tells it first; but a
/// process that the command has left behind holds that open.
const POLL: Duration = Duration::from_millis(200);

/// How long what a command has written may be under way when it has ended.
const DRAIN: Duration = Duration::from_millis(100);

/// Why there is no command.
#[derive(Debug, thiserror::Error)]
pub(super) enum InsideError {
    /// Nobody has said which engine's.
    #[error("there is no engine whose containers could be entered")]
    NoEngine,
    /// Docker holds the lock of the container, which the command would wait for.
    #[error(
        "run in container `{container}` at `{at}`: it does not run yet, and docker would wait for itself"
    )]
    Itself { container: String, at: Point },
}

/// What is to be done in a container.
pub(super) struct Visit<'a> {
    pub(super) inside: &'a Inside,
    pub(super) run: &'a Run,
    pub(super) environment: Vec<String>,
    pub(super) document: Vec<u8>,
    pub(super) limit: Duration,
    /// How much of each stream is kept, in bytes.
    pub(super) kept_max: usize,
}

/// A command under way in a container. Dropping it ends it.
pub(super) struct Stay {
    /// `None` once it is over.
    end: Option<BoxFuture<'static, Outcome>>,
    streams: Arc<Streams>,
    run: Survivor,
    grace: Duration,
    begun_at: Instant,
    deadline: Instant,
}

struct Streams {
    out: Mutex<Kept>,
    err: Mutex<Kept>,
}

impl Visit<'_> {
    /// Begins it. Nothing is done before somebody waits for its end.
    pub(super) fn begin(self, docker: Option<&Docker>) -> Result<Stay, InsideError> {
        let docker = docker.ok_or(InsideError::NoEngine)?;
        refuse_itself(&self.run.event, &self.inside.container)?;
        let kept = || Mutex::new(Kept::at_most(self.kept_max));
        let streams = Arc::new(Streams { out: kept(), err: kept() });
        let (run, grace) = (Survivor::of(&self.run.id), self.run.hook.deadline.grace);
        let stay =
            stay(docker.clone(), self.inside.clone(), self.environment, self.document, streams.clone());
        let begun_at = Instant::now();
        let deadline = begun_at + self.limit;
        Ok(Stay { end: Some(Box::pin(stay)), streams, run, grace, begun_at, deadline })
    }
}

/// A container that has yet to start is held by the call that starts it.
fn refuse_itself(event: &Event, container: &str) -> Result<(), InsideError> {
    let held =
        matches!(event.point, Point::PreCreate | Point::PreStart | Point::NetReady | Point::VolumeMount);
    if held && is(&event.facts, container) {
        return Err(InsideError::Itself { container: container.to_owned(), at: event.point });
    }
    Ok(())
}

/// Whether the container is meant by that name, or beginning of an id.
fn is(facts: &Facts, container: &str) -> bool {
    facts.name.as_deref() == Some(container)
        || facts.id.as_deref().is_some_and(|it| it.starts_with(container))
}

impl Stay {
    /// Waits for its end, at most until the deadline: then `None`, and it is still under way. May be
    /// dropped and called again.
    pub(super) async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        let Some(end) = &mut self.end else { return Some(Outcome::Interrupted) };
        let outcome = timeout_at(self.deadline, end).await.ok()?;
        self.end = None;
        // What it has left running would stay for as long as the container does.
        self.run.kill();
        Some(outcome)
    }

    /// How long ago it was begun.
    pub(super) fn took(&self) -> Duration {
        self.begun_at.elapsed()
    }

    /// What has been written until now.
    pub(super) fn output(&self) -> Output {
        Output { stdout: locked(&self.streams.out).captured(), stderr: locked(&self.streams.err).captured() }
    }

    /// Ends everything that it has started: SIGTERM, then, when the grace is over, SIGKILL.
    pub(super) async fn end(&mut self) {
        if self.end.take().is_some() {
            self.run.terminate(self.grace).await;
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if self.end.take().is_some() {
            self.run.kill();
        }
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay")
            .field("run", &self.run)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Runs it to its end.
async fn stay(
    docker: Docker,
    inside: Inside,
    environment: Vec<String>,
    document: Vec<u8>,
    streams: Arc<Streams>,
) -> Outcome {
    let Inside { container, argv, user, working_dir, .. } = &inside;
    let (user, working_dir) = (user.as_deref(), working_dir.as_deref());
    let exec = Exec { container, argv, user, working_dir, environment: &environment };
    let begun = async {
        let id = docker.prepare_exec(&exec).await?;
        let attached = docker.start_exec(&id).await?;
        Ok::<_, DockerError>((id, attached))
    };
    let (id, attached) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return Outcome::NotStarted(super::told(&error)),
    };
    // Told by whichever comes first: a process that it has left behind may hold its output open.
    let mut talk = pin!(converse(attached, &document, &streams));
    tokio::select! {
        outcome = ended(&docker, &id) => {
            let _ = timeout(DRAIN, talk).await;
            outcome
        }
        () = &mut talk => match asked(&docker, &id).await {
            Some(outcome) => outcome,
            None => ended(&docker, &id).await,
        },
    }
}

/// Hands the document in, and takes what comes out, until nothing more can come.
async fn converse(attached: Attached, document: &[u8], streams: &Streams) {
    let Attached { mut input, mut output } = attached;
    let hand_in = async {
        // A command need not read what it is told.
        if let Err(error) = input.write_all(document).await {
            debug!(%error, "a command in a container does not read its document");
        }
        let _ = input.shutdown().await;
    };
    let take_out = async {
        while let Some(Ok(said)) = output.next().await {
            match said {
                Said::Out(bytes) => locked(&streams.out).push(&bytes),
                Said::Err(bytes) => locked(&streams.err).push(&bytes),
            }
        }
    };
    let (mut hand_in, mut take_out) = (pin!(hand_in), pin!(take_out));
    tokio::select! {
        () = &mut take_out => {}
        () = &mut hand_in => take_out.await,
    }
}

/// Waits for the end of a command, by asking.
async fn ended(docker: &Docker, id: &str) -> Outcome {
    loop {
        sleep(POLL).await;
        if let Some(outcome) = asked(docker, id).await {
            return outcome;
        }
    }
}

/// How it has ended; `None`: it runs.
async fn asked(docker: &Docker, id: &str) -> Option<Outcome> {
    match docker.exec_state(id).await {
        Ok(state) if state.running => None,
        Ok(state) => state.code.and_then(|it| i32::try_from(it).ok()).map(Outcome::Exited),
        // An engine that goes away takes the container along, or cannot tell any more how it ended.
        Err(error) => Some(Outcome::Unreachable(super::told(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, is};

    #[test]
    fn a_container_is_meant_by_its_name_or_the_beginning_of_its_id() {
        let facts = Facts { id: Some("c0ffee01".into()), name: Some("web".into()), ..Facts::default() };

        assert!(is(&facts, "web") && is(&facts, "c0ff") && is(&facts, "c0ffee01"));
        assert!(!is(&facts, "we") && !is(&facts, "c0ffee012") && !is(&Facts::default(), "web"));
    }
}
