//! A machine of its own, with a kernel that has project quotas: few that tests run on have.
//!
//! Debian's kernel for user mode is a program. It boots in a second with the host's root as its own,
//! read-only, and lives in a sandbox, so that it ends with the test.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Process, Sandbox, wait_for};

const INIT: &str = include_str!("guest.sh");
const CALL: &str = include_str!("call.pl");

/// The kernel.
const KERNEL: &str = "linux.uml";

/// For it to come up: a second on a machine that has nothing else to do.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// For one line.
const LINE_LIMIT: Duration = Duration::from_secs(60);

/// The least that `mkfs.xfs` makes a filesystem of.
const DISK_BYTES: u64 = 300 << 20;

const SOCKET: &str = "/run/docker/plugins/boathook.sock";

/// A running guest.
pub(super) struct Guest {
    console: RefCell<File>,
    process: Arc<Process>,
    /// How many lines it was given.
    lines: Cell<usize>,
    sandbox: Sandbox,
}

impl Guest {
    /// Boots one with a disk that `mkfs` makes a filesystem on: `/dev/ubda`. `None`: there can be none here, and
    /// that is allowed.
    pub(super) fn boot(mkfs: &[&str]) -> Option<Guest> {
        // There is none for other machines.
        let sandbox = Sandbox::available().filter(|_| cfg!(target_arch = "x86_64"))?;
        let (console, disk) = (sandbox.dir().join("console"), sandbox.dir().join("disk"));
        let file = File::create(&disk).expect("write into the sandbox's folder");
        file.set_len(DISK_BYTES).expect("write into the sandbox's folder");
        let made = sandbox.run(&[mkfs, &[text(&disk)]].concat());
        assert!(made.status.success(), "{mkfs:?}: {}", made.stderr);
        assert!(sandbox.run(&["mkfifo", text(&console)]).status.success());
        let start = format!(
            "exec {KERNEL} mem=256M root=/dev/root rootfstype=hostfs hostfs=/ ro quiet con=null con0=fd:0,fd:1 \
             init={} ubd0={} <{}",
            sandbox.write_program("guest.sh", INIT).display(),
            disk.display(),
            console.display(),
        );
        let process = sandbox.spawn(&["sh", "-c", &start]);
        // For reading as well, or it would wait for the other end.
        let console = OpenOptions::new().read(true).write(true).open(console).expect("open a pipe");
        let guest = Guest { console: RefCell::new(console), process, lines: Cell::new(0), sandbox };
        guest.until("the guest to boot", BOOT_LIMIT, "@ready");
        Some(guest)
    }

    /// Runs a line of shell; whether it exited with 0, and what it printed.
    #[track_caller]
    pub(super) fn attempt(&self, line: &str) -> (bool, String) {
        let number = self.lines.get() + 1;
        self.lines.set(number);
        let before = self.process.stdout().len();
        writeln!(self.console.borrow_mut(), "{line}").expect("write to the guest");
        let all = self.until(&format!("`{line}` to end"), LINE_LIMIT, &format!("\n@ended {number} "));
        let (said, end) = all[before..].rsplit_once("\n@ended ").expect("it has ended");
        (end.lines().next() == Some(&format!("{number} 0")), said.trim().to_owned())
    }

    /// Runs a line that succeeds; what it printed.
    #[track_caller]
    pub(super) fn run(&self, line: &str) -> String {
        let (succeeded, said) = self.attempt(line);
        assert!(succeeded, "`{line}`: {said}");
        said
    }

    /// Starts boathook with its state in this directory. There is no engine.
    #[track_caller]
    pub(super) fn start_boathook(&self, state: &str) {
        let program = env!("CARGO_BIN_EXE_boathook");
        let config = format!(
            "version: 1\\ndocker: unix:///run/none.sock\\nstate_dir: {state}\\nplugin: {{kinds: [volume]}}\\n"
        );
        self.run(&format!("printf '{config}' >/run/config.yaml"));
        self.run(&format!(
            "{program} run -c /run/config.yaml >>/run/boathook.log 2>&1 & echo $! >/run/boathook.pid"
        ));
        self.run(&format!("for i in $(seq 200); do [ -S {SOCKET} ] && exit; sleep 0.1; done; exit 1"));
    }

    /// Kills boathook.
    pub(super) fn kill_boathook(&self) {
        self.run(&format!("kill -9 $(cat /run/boathook.pid); rm {SOCKET}"));
    }

    /// What boathook has logged.
    pub(super) fn log(&self) -> String {
        self.run("cat /run/boathook.log")
    }

    /// Asks the driver.
    #[track_caller]
    pub(super) fn call(&self, method: &str, body: &Value) -> Value {
        let call = self.sandbox.write("call.pl", CALL);
        let said = self.run(&format!("perl {} {SOCKET} VolumeDriver.{method} '{body}'", call.display()));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{method} {body}: {said}: {error}"))
    }

    /// Asks the driver for a volume of that size, and for nothing more.
    #[track_caller]
    pub(super) fn create(&self, name: &str, size: &str) -> Value {
        self.call("Create", &json!({"Name": name, "Opts": {"size": size}}))
    }

    /// Asks for so many volumes of that size at once; what the driver said.
    #[track_caller]
    pub(super) fn create_at_once(&self, volumes: usize, size: &str) -> String {
        let call = self.sandbox.write("call.pl", CALL);
        let body = format!(r#"{{"Name": "at-once-'$i'", "Opts": {{"size": "{size}"}}}}"#);
        let call = format!("perl {} {SOCKET} VolumeDriver.Create '{body}'", call.display());
        self.run(&format!("for i in $(seq {volumes}); do {call} >/run/said.$i & done; wait; cat /run/said.*"))
    }

    /// Waits until it has printed this; all that it has printed.
    #[track_caller]
    fn until(&self, what: &str, limit: Duration, wanted: &str) -> String {
        wait_for(what, limit, || {
            let all = self.process.stdout();
            // The end of the line as well.
            let is_there = all.rsplit_once(wanted).is_some_and(|(_, rest)| rest.contains('\n'));
            assert!(is_there || self.process.is_alive(), "the guest is gone: {all}{}", self.process.stderr());
            is_there.then_some(all)
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The sandbox prints the ends of its logs when a test has failed.
        if thread::panicking() {
            self.sandbox.write("guest.log", &self.process.stdout());
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}
