//! Programs that drivers need.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boathook::hook::{Command, Deadline, Script, ScriptName};
use boathook::launch::Launch;
use boathook::runner::{ErrandError, Runner, Settings, Tool};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// For what happens at once unless it never does.
const LIMIT: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn runner() -> Runner {
    Runner::new(Settings {
        runs_dir: PathBuf::from("/nonexistent"),
        docker_host: "unix:///nonexistent.sock".into(),
        home: "/root".into(),
        host: "here".into(),
        output_bytes_max: 0,
    })
    .expect("a runner")
}

/// A script of one line of shell.
fn script(line: &str, limit: Duration) -> Script {
    Script {
        name: ScriptName::parse("answers").expect("a name"),
        command: Arc::new(Command {
            program: "/bin/sh".into(),
            argv: ["sh", "-eu", "-c", line].map(Into::into).into(),
            working_dir: "/".into(),
            environment: BTreeMap::from([("OWN".to_owned(), "mine".to_owned())]),
            launch: Launch::default(),
        }),
        deadline: Deadline { limit, grace: Duration::ZERO },
    }
}

fn answer(line: &str, request: &str) -> Result<Value, ErrandError> {
    let script = script(line, LIMIT);
    runtime().block_on(async { runner().delegate(&script, "NetworkDriver.Join", request.as_bytes()).await })
}

#[test]
fn a_script_answers_with_what_it_writes() {
    let line = r#"printf '{"asked": %s, "method": "%s", "own": "%s"}' "$(cat)" "$DRIVER_METHOD" "$OWN""#;

    let reply = answer(line, r#"{"NetworkID": "n"}"#).expect("an answer");

    assert_eq!(reply, json!({"asked": {"NetworkID": "n"}, "method": "NetworkDriver.Join", "own": "mine"}));
    assert_eq!(answer("true", "{}").expect("an answer"), json!({}));
}

#[test]
fn a_script_that_fails_says_why_in_its_last_line() {
    let failed = answer("echo first >&2; echo 'no such bridge' >&2; exit 3", "{}").expect_err("it failed");
    assert_eq!(failed.to_string(), "no such bridge");

    let mute = answer("exit 3", "{}").expect_err("it failed");
    assert_eq!(mute.to_string(), "`/bin/sh` exited with 3");

    let babble = answer("echo yes", "{}").expect_err("no JSON");
    assert_eq!(babble.to_string(), "the reply of `/bin/sh` is not JSON, it begins with `yes`");
}

#[test]
fn a_script_that_takes_too_long_or_writes_without_end_is_ended_with_all_it_started() {
    let mark = format!("boathook-errand-{}", std::process::id());
    let slow = script(&format!("exec -a {mark} sleep 600 & wait"), Duration::from_millis(300));
    let slow = Script {
        command: Arc::new(Command {
            program: "/bin/bash".into(),
            argv: ["bash", "-c"].into_iter().map(Into::into).chain([slow.command.argv[3].clone()]).collect(),
            ..(*slow.command).clone()
        }),
        ..slow
    };
    let overran = runtime()
        .block_on(async { runner().delegate(&slow, "x", b"").await })
        .expect_err("it takes too long");
    assert!(matches!(overran, ErrandError::Overran { .. }), "{overran}");
    let began = Instant::now();
    while is_running(&mark) {
        assert!(began.elapsed() < LIMIT, "what it started runs on");
    }

    let verbose = answer("yes", "").expect_err("it never ends");
    assert!(matches!(verbose, ErrandError::Verbose { .. }), "{verbose}");
}

#[test]
fn a_tool_reads_and_writes_and_one_that_is_not_installed_is_named() {
    let (runner, limit) = (runner(), LIMIT);
    let run = |argv: &[&str], input: &[u8]| {
        runtime().block_on(async { runner.tool(Tool { argv, input, limit }).await })
    };

    assert_eq!(run(&["cat"], b"in").expect("it writes"), b"in");
    let missing = run(&["no-such-tool"], b"").expect_err("there is none");
    assert!(missing.to_string().contains("`no-such-tool`"), "{missing}");
}

fn is_running(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("there is /proc");
    processes.flatten().any(|it| {
        std::fs::read(it.path().join("cmdline")).is_ok_and(|line| line.starts_with(mark.as_bytes()))
    })
}
