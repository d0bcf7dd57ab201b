//! What it takes to start a process, from the call to the end of `true`, in several ways, with little
//! and with much memory resident. Which of them boathook takes, and why: `src/runner/child.rs`.
//!
//! The least is what counts; how far the usual one lies above it is the noise.

#[path = "measure/mod.rs"]
pub mod measure;

use std::ffi::CString;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use nix::libc::{POSIX_SPAWN_SETSID, c_int};
use nix::sched::{CloneFlags, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::chdir;

use measure::{Arguments, Figure, Report, Row, Sample, Unit};

/// How often each way is taken.
const TIMES: usize = 300;

/// Resident memory, in MiB: what a fork has to copy the page tables of.
const RESIDENT: [usize; 2] = [0, 200];

const TRUE: &str = "/bin/true";
const LAUNCHER: &str = env!("CARGO_BIN_EXE_boathook-launch");

fn main() {
    let arguments = Arguments::read();
    let mut report = Report::default();
    // Whole processes are measured, one after the other: what else runs shows in the median.
    for mib in RESIDENT {
        let ballast = vec![1_u8; mib << 20];
        ways(|way, figure| {
            report.push(Row::of(&format!("a process, {mib} MiB resident"), way, Unit::Milliseconds, figure));
        });
        black_box(&ballast);
    }
    report.write(arguments.json);
}

fn ways(mut push: impl FnMut(&str, &Figure)) {
    let mut measure = |way: &str, start: &mut dyn FnMut()| push(way, &figure(start));
    measure("posix_spawn of std, a process group", &mut || run(Command::new(TRUE).process_group(0)));
    measure("posix_spawn, a session, directory, umask", &mut || spawn(&[TRUE]));
    measure("fork of std, as uid() and pre_exec() need", &mut || run(Command::new(TRUE).uid(0)));
    measure("posix_spawn of boathook-launch", &mut || spawn(&[LAUNCHER, "1 core=0:0", "/", TRUE, TRUE]));
    measure("posix_spawn of boathook itself", &mut || spawn(&[env!("CARGO_BIN_EXE_boathook"), "--version"]));
    for tool in [
        &["/usr/bin/setsid"][..],
        &["/usr/bin/setpriv", "--no-new-privs"],
        &["/usr/bin/prlimit", "--core=0", "/usr/bin/setpriv", "--no-new-privs"],
    ] {
        if tool.iter().filter(|it| it.starts_with('/')).all(|it| Path::new(it).exists()) {
            measure(&tool.join(" "), &mut || spawn(&[tool, &[TRUE]].concat()));
        }
    }
}

fn figure(start: &mut dyn FnMut()) -> Figure {
    let samples = (0..TIMES).map(|_| {
        let begun = Instant::now();
        start();
        Sample { wall: begun.elapsed(), processor: None }
    });
    Figure::of(&samples.collect::<Vec<_>>())
}

fn run(command: &mut Command) {
    let status = command.env_clear().current_dir("/").status().expect("run `true`");
    assert!(status.success(), "{status}");
}

/// Spawns as boathook does, and waits.
fn spawn(argv: &[&str]) {
    let argv: Vec<CString> = argv.iter().map(|it| CString::new(*it).expect("no NUL")).collect();
    let null = File::options().write(true).open("/dev/null").expect("open /dev/null");
    let (report, written) = io::pipe().expect("a pipe");
    let pid = thread::scope(|scope| {
        let spawner = scope.spawn(|| {
            unshare(CloneFlags::CLONE_FS).expect("a directory of its own");
            chdir("/").expect("enter a directory");
            umask(Mode::S_IWGRP | Mode::S_IWOTH);
            let mut attributes = PosixSpawnAttr::init().expect("attributes");
            let session = PosixSpawnFlags::from_bits_retain(c_int::from(POSIX_SPAWN_SETSID));
            attributes.set_flags(session).expect("attributes");
            let mut actions = PosixSpawnFileActions::init().expect("actions");
            actions.add_dup2(written.as_raw_fd(), 3).expect("actions");
            actions.add_dup2(null.as_raw_fd(), 1).expect("actions");
            let environment: [CString; 0] = [];
            posix_spawn(argv[0].as_c_str(), &actions, &attributes, &argv, &environment).expect("spawn")
        });
        spawner.join().expect("no panic")
    });
    drop((report, written));
    waitpid(pid, None).expect("wait");
}
