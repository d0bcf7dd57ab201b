//! An example that runs as a plugin.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Process, Sandbox, Signal, wait_for};

/// From start to a bound socket.
const START_LIMIT: Duration = Duration::from_secs(20);

/// More than an example gives its calls.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// An example that listens in a sandbox. It ends with it.
pub(crate) struct Plugin {
    pub(crate) process: Arc<Process>,
    /// As it is reached from outside.
    pub(crate) socket: PathBuf,
}

impl Plugin {
    /// Starts an example on this socket below `/run` of the sandbox, with more arguments behind it.
    pub(crate) fn start(sandbox: &Sandbox, example: &str, socket: &str, more: &[&str]) -> Plugin {
        let program = program(example);
        let inside = format!("/run/{socket}");
        let command =
            [program.to_str().expect("a path of text"), &inside].into_iter().chain(more.iter().copied());
        let process = sandbox.spawn(&command.collect::<Vec<_>>());
        let socket = sandbox.dir().join("run").join(socket);
        wait_for("the plugin to listen", START_LIMIT, || {
            assert!(process.is_alive(), "the plugin exits: {}", process.stderr());
            UnixStream::connect(&socket).ok()
        });
        Plugin { process, socket }
    }

    /// Ends it as ctrl-c does.
    pub(crate) fn stop(self) {
        self.process.signal(Signal::SIGINT);
        assert!(self.process.wait(STOP_LIMIT).success(), "{}", self.process.stderr());
    }
}

/// Beside the test's own program. Built with the tests, unless only this one is built.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("tests are built in `deps`");
    let program = profile.join("examples").join(example);
    assert!(program.exists(), "build the example first: `cargo build --example {example}`");
    program
}
