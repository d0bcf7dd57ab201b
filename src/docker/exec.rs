//! Commands that are run in a container, by `docker exec`'s own calls.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWrite;

use super::{Docker, DockerError, LOOK_LIMIT, encode, within};

/// What is run in a container.
#[derive(Clone, Debug)]
pub struct Exec<'a> {
    /// The container, by its name or the beginning of its id.
    pub container: &'a str,
    /// The program and its arguments.
    pub argv: &'a [String],
    /// As whom, by the container's own users.
    pub user: Option<&'a str>,
    /// Where, by the container's own paths.
    pub working_dir: Option<&'a str>,
    /// `NAME=value`, beside the container's own.
    pub environment: &'a [String],
}

/// A command that runs in a container, as far as we are connected to it.
pub struct Attached {
    /// Its standard input, which ends when this is shut down.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes; ends when nobody can write there any more.
    pub output: BoxStream<'static, Result<Said, DockerError>>,
}

/// A piece of what a command writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// On standard output.
    Out(Vec<u8>),
    /// On standard error.
    Err(Vec<u8>),
}

/// How far a command in a container has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecState {
    /// Whether it runs.
    pub running: bool,
    /// Its id on the host, once it has begun.
    pub pid: Option<u32>,
    /// Its exit status, once it has ended.
    pub code: Option<i64>,
}

impl Docker {
    /// Makes a command ready to be run in a container; its id.
    ///
    /// It waits for the container's lock: not inside a driver call for that container. Nor has it a limit:
    /// whoever calls has a deadline.
    ///
    /// # Errors
    ///
    /// When the container is not there or does not run, or the engine does not answer.
    pub async fn prepare_exec(&self, exec: &Exec<'_>) -> Result<String, DockerError> {
        let container = encode(exec.container)
            .ok_or_else(|| DockerError::NoSuchContainer { name: exec.container.to_owned() })?;
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(exec.environment.to_vec()),
            cmd: Some(exec.argv.to_vec()),
            user: exec.user.map(str::to_owned),
            working_dir: exec.working_dir.map(str::to_owned),
            ..CreateExecOptions::default()
        };
        Ok(self.client.create_exec(&container, options).await?.id)
    }

    /// Starts a command that was made ready.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or the engine does not answer.
    pub async fn start_exec(&self, id: &str) -> Result<Attached, DockerError> {
        match self.client.start_exec(id, Some(StartExecOptions::default())).await? {
            StartExecResults::Attached { input, output } => {
                let said = output.map_err(DockerError::from).map_ok(|it| match it {
                    LogOutput::StdErr { message } => Said::Err(message.into()),
                    other => Said::Out(other.into_bytes().into()),
                });
                Ok(Attached { input, output: said.boxed() })
            }
            StartExecResults::Detached => unreachable!("it is not asked for"),
        }
    }

    /// How far a command has come.
    ///
    /// # Errors
    ///
    /// When the engine does not answer within [`LOOK_LIMIT`], or the command is not known any more.
    pub async fn exec_state(&self, id: &str) -> Result<ExecState, DockerError> {
        let told = within(LOOK_LIMIT, self.client.inspect_exec(id)).await?;
        let pid = told.pid.and_then(|it| u32::try_from(it).ok()).filter(|it| *it != 0);
        Ok(ExecState { running: told.running == Some(true), pid, code: told.exit_code })
    }
}
