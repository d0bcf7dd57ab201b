//! Who may do what.

use std::path::Path;

use super::reading::{Mention, Source};
use super::{Breach, PACKAGE, assert_none, files, rust_files, sources, text, whats};

/// What starts a task.
const TASKS: &[&str] = &[
    "tokio::runtime",
    "tokio::spawn",
    "tokio::task::Builder",
    "tokio::task::JoinSet",
    "tokio::task::LocalSet",
    "tokio::task::block_in_place",
    "tokio::task::spawn",
    "tokio::task::spawn_blocking",
    "tokio::task::spawn_local",
    "tokio_util::task",
];

/// Who may start a task.
const TASK_ROOMS: &[&str] = &["daemon"];

/// What starts a thread, or deals with it.
const THREADS: &[&str] = &["std::thread"];

/// Who may start a thread: a process is spawned by one that has a directory and a umask for itself.
const THREAD_ROOMS: &[&str] = &["daemon", "runner"];

/// What starts a process.
const PROCESSES: &[&str] = &[
    "nix::libc",
    "nix::spawn",
    "nix::unistd::execv",
    "nix::unistd::execve",
    "nix::unistd::execvp",
    "nix::unistd::execvpe",
    "nix::unistd::fexecve",
    "nix::unistd::fork",
    "std::os::unix::process::CommandExt",
    "std::process::Child",
    "std::process::Command",
    "std::process::Stdio",
    "tokio::process",
];

/// Who may start a process, or become one.
const PROCESS_ROOMS: &[&str] = &["runner", "bin"];

/// What calls the kernel behind the back of the language.
const CALLS: &[&str] = &["libc"];

/// The one file that may, for calls that no library makes.
const CALLS_FILE: &str = "src/driver/volume/quota/kernel.rs";

/// The rooms that only think.
const PURE: &[&str] = &["lifecycle", "reconcile", "hook", "run"];

/// The other crates that a pure room may use: values, and how they are written down.
const PURE_CRATES: &[&str] = &["jiff", "regex", "schemars", "serde", "serde_json", "thiserror"];

/// What of the standard library reads files, sockets, other processes or the clock.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Names that say nothing about what is in a module.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "prelude", "shared", "util", "utils"];

/// Mentions of what only some rooms may use.
fn reserved(source: &Source, rooms: &[&str], what: &[&str]) -> Vec<Breach> {
    if rooms.contains(&source.room.as_str()) {
        return Vec::new();
    }
    let found = source.mentions.iter().filter(|mention| what.iter().any(|it| mention.is_of(it)));
    found
        .map(|it| source.breach(it.line, format!("only {rooms:?} may use `{}`", it.path.join("::"))))
        .collect()
}

/// Mentions of what a pure room must not use; `crates` are the package's dependencies.
fn impure(source: &Source, crates: &[String]) -> Vec<Breach> {
    if !PURE.contains(&source.room.as_str()) {
        return Vec::new();
    }
    let is_clock = |mention: &Mention| mention.path.last().is_some_and(|it| it == "now");
    let is_foreign = |mention: &Mention| {
        crates.contains(&mention.path[0]) && !PURE_CRATES.contains(&mention.path[0].as_str())
    };
    let is_impure = |mention: &Mention| IMPURE.iter().any(|it| mention.is_of(it));
    let found = source.mentions.iter().filter(|it| is_clock(it) || is_foreign(it) || is_impure(it));
    found
        .map(|it| {
            source.breach(it.line, format!("`{}` only thinks: no `{}`", source.room, it.path.join("::")))
        })
        .collect()
}

/// Imports of everything there is.
fn globs(source: &Source) -> Vec<Breach> {
    let found = source.mentions.iter().filter(|it| it.is_glob() && !it.in_test);
    found.map(|it| source.breach(it.line, format!("import by name, not `{}`", it.path.join("::")))).collect()
}

/// Modules whose names say nothing.
fn empty_names(source: &Source) -> Vec<Breach> {
    let is_empty = |name: &str| EMPTY_NAMES.contains(&name);
    let found = source.modules.iter().filter(|(name, _)| is_empty(name));
    let declared = found.map(|(name, line)| source.breach(*line, format!("`{name}` says nothing")));
    let segments = source.file.with_extension("");
    let segments = segments.iter().filter_map(|it| it.to_str()).filter(|it| is_empty(it));
    declared.chain(segments.map(|it| source.breach(1, format!("`{it}` says nothing")))).collect()
}

/// The names of the dependencies in the text of a `Cargo.toml`, as code spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    let table = manifest.split_once("\n[dependencies]\n").map_or("", |(_, table)| table);
    let lines = table.lines().take_while(|it| !it.starts_with('['));
    let lines = lines.filter(|it| it.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let names = lines.filter_map(|it| it.split(['.', ' ', '=']).next());
    names.map(|it| it.replace('-', "_")).collect()
}

#[test]
fn only_the_daemon_spawns_tasks() {
    assert_none(&sources().iter().flat_map(|it| reserved(it, TASK_ROOMS, TASKS)).collect::<Vec<_>>());
}

#[test]
fn only_the_runner_spawns_processes() {
    assert_none(&sources().iter().flat_map(|it| reserved(it, PROCESS_ROOMS, PROCESSES)).collect::<Vec<_>>());
}

#[test]
fn threads_are_for_the_runtime_and_for_spawning() {
    assert_none(&sources().iter().flat_map(|it| reserved(it, THREAD_ROOMS, THREADS)).collect::<Vec<_>>());
}

#[test]
fn one_file_alone_calls_the_kernel_by_itself() {
    let others = sources().into_iter().filter(|it| it.file != Path::new(CALLS_FILE));
    assert_none(&others.flat_map(|it| reserved(&it, &[], CALLS)).collect::<Vec<_>>());
}

#[test]
fn what_is_pure_reads_no_file_no_socket_and_no_clock() {
    let crates = dependencies(&text(&Path::new(PACKAGE).join("Cargo.toml")));
    assert!(crates.contains(&"tokio".to_owned()), "{crates:?}");
    let sources = sources();
    for room in PURE {
        assert!(sources.iter().any(|it| it.room == *room), "there is no `{room}`");
    }

    assert_none(&sources.iter().flat_map(|it| impure(it, &crates)).collect::<Vec<_>>());
}

#[test]
fn imports_are_by_name() {
    assert_none(&sources().iter().flat_map(globs).collect::<Vec<_>>());
}

#[test]
fn the_name_of_a_module_says_what_it_holds() {
    let files = ["src", "tests", "crates"].into_iter().flat_map(rust_files);
    let read = files.map(|it| Source::read(&it, &text(&Path::new(PACKAGE).join(&it))));

    assert_none(&read.flat_map(|it| empty_names(&it)).collect::<Vec<_>>());
}

#[test]
fn the_sdk_does_not_know_boathook() {
    let files = files("crates/docker-plugin-sdk");
    assert!(!files.is_empty());

    for file in files {
        let text = text(&Path::new(PACKAGE).join(&file)).to_lowercase();
        assert!(!text.contains("boathook"), "{} speaks of boathook", file.display());
    }
}

fn made_up(file: &str, text: &str) -> Source {
    Source::read(Path::new(file), text)
}

#[test]
fn a_task_that_is_spawned_elsewhere_is_found() {
    for text in [
        "fn f() { tokio::spawn(async {}) }",
        "use tokio::task; fn f() { task::spawn_blocking(|| {}) }",
        "use tokio::task::{self, JoinSet};",
        "use tokio::{task as t}; fn f() { t::spawn_local(async {}) }",
        "#[cfg(test)] mod tests { use tokio::task::*; }",
        "fn f() { select! { it = tokio::spawn(g()) => it } }",
    ] {
        assert!(!reserved(&made_up("src/engine/mod.rs", text), TASK_ROOMS, TASKS).is_empty(), "{text}");
        assert_eq!(reserved(&made_up("src/daemon.rs", text), TASK_ROOMS, TASKS), []);
    }
    let fine =
        made_up("src/engine/mod.rs", "use tokio::{sync::mpsc, task::yield_now}; use tokio_util::sync;");
    assert_eq!(reserved(&fine, TASK_ROOMS, TASKS), []);
    let thread = made_up("src/engine/mod.rs", "use std::thread; fn f() { thread::spawn(|| {}) }");
    assert_eq!(reserved(&thread, THREAD_ROOMS, THREADS).len(), 2);
}

#[test]
fn a_process_that_is_spawned_elsewhere_is_found() {
    for text in [
        "use std::process::Command;",
        "use std::process; fn f() { process::Command::new(\"ls\"); }",
        "fn f() { tokio::process::Command::new(\"ls\"); }",
        "use nix::unistd::{fork, Pid};",
    ] {
        assert!(!reserved(&made_up("src/cli/check.rs", text), PROCESS_ROOMS, PROCESSES).is_empty(), "{text}");
    }
    let fine = made_up("src/cli/mod.rs", "use std::process::ExitCode; use crate::hook::Command;");
    assert_eq!(reserved(&fine, PROCESS_ROOMS, PROCESSES), []);
}

#[test]
fn a_pure_room_that_looks_around_is_found() {
    let crates = ["jiff", "tokio", "nix"].map(str::to_owned);
    for text in [
        "use std::fs;",
        "use std::{fmt, net::IpAddr};",
        "use std::*;",
        "use jiff::Timestamp; fn f() { Timestamp::now() }",
        "fn f() { it.unwrap_or_else(jiff::Timestamp::now) }",
        "use std::time::{Duration, Instant};",
        "use tokio::time::sleep;",
        "use tokio::sync::Semaphore;",
        "fn f() { nix::unistd::getpid() }",
        "#[cfg(test)] mod tests { use std::fs; }",
    ] {
        assert!(!impure(&made_up("src/run.rs", text), &crates).is_empty(), "{text}");
        assert_eq!(impure(&made_up("src/docker.rs", text), &crates), []);
    }
    let two = made_up("src/hook.rs", "use tokio::sync::{Semaphore, mpsc};");
    assert_eq!(
        whats(&impure(&two, &crates)),
        ["`hook` only thinks: no `tokio::sync::Semaphore`", "`hook` only thinks: no `tokio::sync::mpsc`"]
    );
    let fine = "use std::time::Duration; use jiff::Timestamp; fn f(now: Timestamp) { now.duration_since(x) }";
    assert_eq!(impure(&made_up("src/run.rs", fine), &crates), []);
}

#[test]
fn a_glob_is_found_outside_of_tests() {
    let text = "use super::*;\n#[cfg(test)] mod tests { use super::*; }";

    let found = globs(&made_up("src/engine/gate.rs", text));

    assert_eq!(whats(&found), ["import by name, not `crate::engine::*`"]);
}

#[test]
fn an_empty_name_is_found_as_a_file_and_as_a_module() {
    assert_eq!(whats(&empty_names(&made_up("src/engine/utils.rs", ""))), ["`utils` says nothing"]);
    assert_eq!(whats(&empty_names(&made_up("src/helpers/jam.rs", ""))), ["`helpers` says nothing"]);
    assert_eq!(whats(&empty_names(&made_up("src/hook.rs", "mod prelude {}"))), ["`prelude` says nothing"]);
    assert_eq!(empty_names(&made_up("src/hook.rs", "mod utilities_of_the_house {}")), []);
}

#[test]
fn the_dependencies_of_a_manifest_are_read() {
    let manifest = "[workspace.dependencies]\na = \"1\"\n\n[dependencies]\nb-c = \"1\"\nd.workspace = true\n\
        # e\nf = { version = \"1\" }\n\n[dev-dependencies]\ng = \"1\"\n";

    assert_eq!(dependencies(manifest), ["b_c", "d", "f"]);
}
