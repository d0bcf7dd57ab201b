//! Processes that are measured from outside, and end with us.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::Scratch;

/// Keeps a process for as long as our end of its stdin is open: also when we are killed, nothing stays behind.
///
/// `$1` is where the process id goes, the rest is the program. What it finds on its stdout it also has as
/// descriptor 3, the first that systemd passes to a service.
const GUARD: &str = r#"
trap '' HUP INT TERM
pid_file=$1
shift
sh -c 'LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@" 3>&1 >/dev/null </dev/null' \
    sh "$@" &
echo $! >"$pid_file.new" && mv "$pid_file.new" "$pid_file"
exec >/dev/null
cat >/dev/null
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
"#;

/// For a process to be started.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A core that a process, or a thread, is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Wherever the kernel puts it.
    Any,
    /// The first or second core, and so on, of those that this process may use. Where there are fewer, they
    /// are counted round.
    Number(usize),
}

/// A process that ends when this is dropped, or when we end.
pub struct Kept {
    guard: Child,
    stdin: Option<ChildStdin>,
    id: Pid,
}

impl Kept {
    /// Starts a program on `core`. It gets `socket`, if there is one, as systemd would pass it, and writes to
    /// `log`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(command: &[S], socket: Option<OwnedFd>, log: &Path, core: Core) -> Kept {
        let scratch = Scratch::new();
        let pid_file = scratch.path("pid");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(&pid_file).args(command).process_group(0);
        guard.stdin(Stdio::piped()).stdout(socket.map_or_else(Stdio::null, Stdio::from));
        guard.stderr(File::create(log).expect("write a log"));
        let mut guard = on_core(core, || guard.spawn()).expect("start `sh`");
        let stdin = guard.stdin.take();
        let started_by = Instant::now() + START_LIMIT;
        let id = loop {
            if let Ok(text) = fs::read_to_string(&pid_file) {
                break text.trim().parse().expect("the guard writes a number");
            }
            assert!(Instant::now() < started_by, "nothing was started within {START_LIMIT:?}");
            thread::sleep(Duration::from_millis(1));
        };
        Kept { guard, stdin, id: Pid::from_raw(id) }
    }

    /// The processor time that it has taken until now, with all its threads and without its children.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn processor_time(&self) -> Duration {
        let clock = ClockId::pid_cpu_clock_id(self.id).expect("a process that lives has a clock");
        clock_gettime(clock).expect("read the clock of a process that lives").into()
    }

    /// How many bytes it has in memory.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn resident_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.id)).expect("look at a process that lives");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("a process has memory");
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("the kernel writes a number");
        kib * 1024
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The guard takes the end of its stdin for the order to kill what it keeps.
        drop(self.stdin.take());
        // It is ours to reap; that it was there to be waited for is all that matters.
        let _ = self.guard.wait();
    }
}

/// Does `work` bound to `core`; what it starts stays there.
///
/// # Panics
///
/// When the kernel does not let us choose.
pub fn on_core<T: Send>(core: Core, work: impl FnOnce() -> T + Send) -> T {
    let Core::Number(number) = core else { return work() };
    // A thread of its own: the binding ends with it.
    thread::scope(|scope| {
        let bound = scope.spawn(move || {
            bind(number).expect("bind a thread to a core");
            work()
        });
        bound.join().expect("the work does not panic")
    })
}

fn bind(number: usize) -> io::Result<()> {
    let us = Pid::from_raw(0);
    let allowed = sched_getaffinity(us)?;
    let cores: Vec<_> = (0..CpuSet::count()).filter(|it| allowed.is_set(*it).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    one.set(cores[number % cores.len()])?;
    Ok(sched_setaffinity(us, &one)?)
}
