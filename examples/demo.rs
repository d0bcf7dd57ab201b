//! Shows what boathook does, on a Docker engine of its own: `make demo`, as root.
//!
//! It runs the `config.yaml` and the scripts of this repository, types docker commands as anybody
//! would, and shows below each of them what boathook ran. Everything that it says is looked up, in
//! boathook's log and in the files that the scripts write; it ends with 0 only if all of it was so.
//! Nothing is left behind, however it ends.

#[path = "../tests/engine/mod.rs"]
pub mod engine;
#[path = "demo/screen.rs"]
mod screen;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/story.rs"]
mod story;

use std::any::Any;
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::process::{self, ExitCode};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use engine::{Engine, Sandbox};

/// For the whole demo, which takes a quarter of a minute on an idle machine.
const LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    panic::set_hook(Box::new(|it| complain(&format!("error: {}", words_of(it.payload())))));
    let sandbox = match Sandbox::new(Engine::installed()) {
        Ok(sandbox) => sandbox,
        Err(reason) => {
            complain(&format!("error: {reason}"));
            return ExitCode::FAILURE;
        }
    };
    let told = thread::scope(|scope| {
        let (over, is_over) = channel::<()>();
        scope.spawn(|| watch(&sandbox, is_over));
        let told = panic::catch_unwind(AssertUnwindSafe(|| story::tell(&sandbox)));
        drop(over);
        told
    });
    if told.is_err() {
        complain(&sandbox.tails());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Ends the demo when it is not over in time. What is in the sandbox ends with this process.
#[expect(clippy::needless_pass_by_value, reason = "it is received from here and nowhere else")]
fn watch(sandbox: &Sandbox, is_over: Receiver<()>) {
    if is_over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        complain(&format!("error: not over after {LIMIT:?}\n{}", sandbox.tails()));
        process::exit(1);
    }
}

fn complain(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "\n{text}");
}

/// What a panic says.
fn words_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a part of the demo failed")
}
