//! Programs that a driver needs: tools of the host, and scripts that answer in its place.
//!
//! They are no hooks: the engine is waiting, it asks again if boathook dies, and so nothing of them is
//! recorded. What they read and write lies in memory, where no full disk can keep a container from starting.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, killpg};
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::child::{Child, ChildError, Plan, c_string};
use super::{CONTRACT, HOST_PATH, Runner};
use crate::hook::{Deadline, Script};
use crate::launch::Launch;
use crate::run::{Outcome, last_line};
use crate::trust::{self, Distrust};

/// How much a program may write to each stream, in bytes: it is held in memory. The longest reply of a
/// driver, a list of all volumes, has some hundred bytes for each.
const STREAM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How much of a reply that is none is shown, in characters: a message, `docker`'s or the log's, is read by a
/// person.
const BEGINNING_CHARS: usize = 60;

/// How often it is looked whether a program writes more than that.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How long a tool of the host may take to end once it has been told to.
const TOOL_GRACE: Duration = Duration::from_secs(2);

/// Why a program did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// A tool is not installed.
    #[error("find `{program}`: it is in none of {HOST_PATH}")]
    Missing {
        /// Its name.
        program: String,
    },
    /// Others could have written it.
    #[error("trust `{}`", .program.display())]
    Distrusted {
        /// The program.
        program: PathBuf,
        /// How.
        #[source]
        source: Distrust,
    },
    /// What it reads and writes has no place.
    #[error("make its streams")]
    Streams(#[source] io::Error),
    /// It never began.
    #[error("begin it")]
    Begin(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Its end was not seen.
    #[error("wait for it")]
    Wait(#[source] io::Error),
    /// It was ended.
    #[error("no exit of `{}` within {limit:?}", .program.display())]
    Overran {
        /// The program.
        program: PathBuf,
        /// What it had been given.
        limit: Duration,
    },
    /// It wrote without end, and was ended.
    #[error("`{}` wrote more than {STREAM_BYTES_MAX} bytes", .program.display())]
    Verbose {
        /// The program.
        program: PathBuf,
    },
    /// It did not succeed.
    #[error("{}", told(.program, .outcome, .complaint))]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        outcome: Outcome,
        /// The last line that it wrote to standard error; empty: none.
        complaint: String,
    },
    /// What a script wrote is no reply.
    #[error("the reply of `{}` is not JSON, it begins with `{beginning}`", .program.display())]
    NotJson {
        /// The program.
        program: PathBuf,
        /// What it wrote first, up to the end of the line.
        beginning: String,
        /// Where not.
        #[source]
        source: serde_json::Error,
    },
}

/// As much of what was written as shows a person what it is.
fn beginning(written: &str) -> String {
    written.trim_start().chars().take_while(|it| !it.is_control()).take(BEGINNING_CHARS).collect()
}

fn told(program: &Path, outcome: &Outcome, complaint: &str) -> String {
    match complaint {
        "" => format!("`{}` {outcome}", program.display()),
        complaint => complaint.to_owned(),
    }
}

/// A tool of the host, and what it is to do.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Its name, looked up in [`HOST_PATH`], and its arguments.
    pub argv: &'a [&'a str],
    /// What it reads on standard input.
    pub input: &'a [u8],
    /// How long it may take.
    pub limit: Duration,
}

impl Runner {
    /// Has a tool do something, and tells what it wrote to standard output.
    ///
    /// Dropping the future kills it.
    ///
    /// # Errors
    ///
    /// When it cannot, or does not succeed: then with the last line that it wrote to standard error.
    ///
    /// # Panics
    ///
    /// When it has no name.
    pub async fn tool(&self, tool: Tool<'_>) -> Result<Vec<u8>, ErrandError> {
        let name = *tool.argv.first().expect("a tool has a name");
        let program = look_up(name).ok_or_else(|| ErrandError::Missing { program: name.to_owned() })?;
        let errand = Errand {
            program: &program,
            argv: tool.argv.iter().map(OsString::from).collect(),
            environment: vec![variable("PATH", HOST_PATH), variable("LC_ALL", "C")],
            working_dir: Path::new("/"),
            deadline: Deadline { limit: tool.limit, grace: TOOL_GRACE },
        };
        self.run(errand, tool.input).await
    }

    /// Has a script answer a driver's call: `request` on its standard input, the reply on its standard
    /// output. Who writes nothing answers with an empty object.
    ///
    /// `method` is what is called, as the engine calls it: `NetworkDriver.Join`.
    ///
    /// Dropping the future kills the script.
    ///
    /// # Errors
    ///
    /// When it does not answer, or fails: then with the last line that it wrote to standard error.
    pub async fn delegate(
        &self,
        script: &Script,
        method: &str,
        request: &[u8],
    ) -> Result<Value, ErrandError> {
        let command = &script.command;
        let program = command.program.as_path();
        let distrusted = |source| ErrandError::Distrusted { program: program.to_owned(), source };
        trust::vet(program).map_err(distrusted)?;
        let ends_at = Timestamp::now() + script.deadline.limit;
        let mut environment = vec![
            variable("PATH", HOST_PATH),
            variable("HOME", &self.settings.home),
            variable("DOCKER_HOST", &self.settings.docker_host),
            variable("HOOK_CONTRACT", &CONTRACT.to_string()),
            variable("HOOK_HOST", &self.settings.host),
            variable("HOOK_DEADLINE", &ends_at.as_second().to_string()),
            variable("DRIVER_METHOD", method),
            variable("DRIVER_SCRIPT", script.name.as_str()),
        ];
        environment.extend(command.environment.iter().map(|(name, value)| variable(name, value)));
        let errand = Errand {
            program,
            argv: command.argv.clone(),
            environment,
            working_dir: &command.working_dir,
            deadline: script.deadline,
        };
        let reply = self.run(errand, request).await?;
        if reply.trim_ascii().is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&reply).map_err(|source| {
            let beginning = beginning(&String::from_utf8_lossy(&reply));
            ErrandError::NotJson { program: program.to_owned(), beginning, source }
        })
    }

    async fn run(&self, errand: Errand<'_>, input: &[u8]) -> Result<Vec<u8>, ErrandError> {
        let mut streams = Streams::of(input).map_err(ErrandError::Streams)?;
        let begun = |error: ChildError| ErrandError::Begin(error.into());
        let child = Child::spawn(&Plan {
            program: errand.program,
            argv: &errand.argv.iter().map(c_string).collect::<Vec<_>>(),
            environment: &errand.environment,
            working_dir: errand.working_dir,
            umask: Launch::UMASK,
            descriptors: &[streams.input.as_fd(), streams.output.as_fd(), streams.complaints.as_fd()],
            inherited: &self.host.inherited,
        })
        .map_err(begun)?;
        let outcome = Group(child).end(&errand, &streams).await?;
        if outcome == Outcome::Exited(0) {
            return content(&mut streams.output).map_err(ErrandError::Streams);
        }
        let complaints = content(&mut streams.complaints).map_err(ErrandError::Streams)?;
        let complaint = last_line(&String::from_utf8_lossy(&complaints)).unwrap_or_default().to_owned();
        Err(ErrandError::Failed { program: errand.program.to_owned(), outcome, complaint })
    }
}

/// A program, and what it is started with.
struct Errand<'a> {
    program: &'a Path,
    argv: Vec<OsString>,
    environment: Vec<CString>,
    working_dir: &'a Path,
    deadline: Deadline,
}

/// A program that runs, and everything that it started in its process group. Dropping it kills them.
struct Group(Child);

impl Group {
    /// Waits for the end of the program. What it has left in its group is ended with it: a call of a driver
    /// is over when it is answered.
    async fn end(mut self, errand: &Errand<'_>, streams: &Streams) -> Result<Outcome, ErrandError> {
        let ends_at = Instant::now() + errand.deadline.limit;
        loop {
            let look_at = (Instant::now() + WATCH_EVERY).min(ends_at);
            let failure = match timeout_at(look_at, self.0.wait()).await {
                Ok(ended) => return ended.map_err(ErrandError::Wait),
                Err(_) if streams.overflow().map_err(ErrandError::Streams)? => {
                    ErrandError::Verbose { program: errand.program.to_owned() }
                }
                Err(_) if Instant::now() >= ends_at => {
                    ErrandError::Overran { program: errand.program.to_owned(), limit: errand.deadline.limit }
                }
                Err(_) => continue,
            };
            let _ = killpg(self.0.pid(), Signal::SIGTERM);
            let _ = timeout_at(Instant::now() + errand.deadline.grace, self.0.wait()).await;
            return Err(failure);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group's number is not given to anybody else while somebody is in it, and otherwise there is
        // nobody to be told: the leader has been reaped a moment ago at most.
        let _ = killpg(self.0.pid(), Signal::SIGKILL);
    }
}

/// What a program reads and writes.
struct Streams {
    input: File,
    output: File,
    complaints: File,
}

impl Streams {
    fn of(input: &[u8]) -> io::Result<Streams> {
        let mut streams =
            Streams { input: memory("input")?, output: memory("output")?, complaints: memory("complaints")? };
        streams.input.write_all(input)?;
        streams.input.rewind()?;
        Ok(streams)
    }

    fn overflow(&self) -> io::Result<bool> {
        let longest = self.output.metadata()?.len().max(self.complaints.metadata()?.len());
        Ok(longest > STREAM_BYTES_MAX)
    }
}

fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

fn content(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(STREAM_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn look_up(name: &str) -> Option<PathBuf> {
    HOST_PATH.split(':').map(|it| Path::new(it).join(name)).find(|it| it.is_file())
}

fn variable(name: &str, value: &str) -> CString {
    c_string(format!("{name}={value}"))
}
