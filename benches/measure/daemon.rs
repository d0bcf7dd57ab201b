//! The real daemon, started as systemd would.

use std::env;
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{Core, Kept, Scratch};

/// For the daemon to say something in its log.
const LOG_LIMIT: Duration = Duration::from_secs(60);

/// The program that is measured: `built`, unless `BOATHOOK_BENCH` names another, say one from before a change.
pub fn daemon_program(built: &str) -> PathBuf {
    PathBuf::from(env::var_os("BOATHOOK_BENCH").unwrap_or_else(|| built.into()))
}

/// A `boathook run` of its own folder, with its plugin socket there.
pub struct Daemon {
    // The process ends before its folder goes.
    process: Kept,
    socket: PathBuf,
    log: PathBuf,
    _scratch: Scratch,
}

impl Daemon {
    /// Starts `program` on `core`, for the engine that listens at `docker`. `config` is the part of the
    /// configuration from `hooks:` on.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(program: &Path, docker: &Path, config: &str, core: Core) -> Daemon {
        let scratch = Scratch::new();
        let state_dir = scratch.path("state");
        Daemon::start_in(scratch, &state_dir, program, docker, config, core)
    }

    /// As [`Daemon::start`], with what another daemon may have left in `state_dir`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start_from(state_dir: &Path, program: &Path, docker: &Path, config: &str, core: Core) -> Daemon {
        Daemon::start_in(Scratch::new(), state_dir, program, docker, config, core)
    }

    fn start_in(
        scratch: Scratch,
        state_dir: &Path,
        program: &Path,
        docker: &Path,
        config: &str,
        core: Core,
    ) -> Daemon {
        let (socket, log) = (scratch.path("plugin.sock"), scratch.path("log"));
        let config = format!(
            "version: 1\ndocker: unix://{}\nstate_dir: {}\n{config}",
            docker.display(),
            state_dir.display()
        );
        let config = scratch.write("config.yaml", &config);
        let listener = UnixListener::bind(&socket).expect("bind in a folder of our own");
        let command = [program.as_os_str(), "run".as_ref(), "-c".as_ref(), config.as_os_str()];
        let process = Kept::start(&command, Some(listener.into()), &log, core);
        Daemon { process, socket, log, _scratch: scratch }
    }

    /// Its process.
    pub fn process(&self) -> &Kept {
        &self.process
    }

    /// Its plugin socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection to its plugin socket. It may not be listening yet: the connection waits then.
    ///
    /// # Panics
    ///
    /// When there is no socket.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("the socket of a daemon is there before it is")
    }

    /// Waits until it has said `words` in its log.
    ///
    /// # Panics
    ///
    /// When it does not, with what it has said instead.
    pub fn wait_for_log(&self, words: &str) {
        let until = Instant::now() + LOG_LIMIT;
        while !self.logged().contains(words) {
            assert!(Instant::now() < until, "boathook does not say `{words}`:\n{}", self.logged());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it has said until now.
    pub fn logged(&self) -> String {
        fs::read(&self.log).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default()
    }
}
