//! The last good configuration, kept in a real directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use boathook::config::{self, Good, GoodError, Written};
use boathook::hook::Action;
use jiff::Timestamp;

use super::scratch::Scratch;

const HOOKS: &[u8] = b"version: 1\nhooks:\n  - {name: gate, at: pre_create, exec: [hooks/sound.sh]}\n";

/// A configuration of two files that is kept under `state`.
fn kept() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("config.yaml", HOOKS, 0o644);
    fs::create_dir(scratch.path("hooks.d")).expect("it is new");
    scratch.chmod("hooks.d", 0o755);
    let drop_in = b"version: 1\nhooks:\n  - {name: more, at: post_create, exec: [./more.sh]}\n";
    scratch.write("hooks.d/more.yaml", drop_in, 0o644);
    scratch.write("hooks.d/more.sh", b"#!/bin/sh\n", 0o755);
    keep(&scratch, Timestamp::UNIX_EPOCH).expect("there is room");
    scratch
}

fn keep(scratch: &Scratch, now: Timestamp) -> Result<(), GoodError> {
    let written = Written::read(&scratch.path("config.yaml"));
    written.check().unwrap_or_else(|report| panic!("{report}"));
    Good::keep(&written, &scratch.path("state"), now)
}

fn find(scratch: &Scratch) -> Result<Option<Good>, GoodError> {
    Good::find(&scratch.path("state"), &scratch.path("config.yaml"))
}

fn programs(config: &config::Config) -> Vec<&Path> {
    let exec = config.hooks.iter().map(|it| match &it.action {
        Action::Exec(command) => command.program.as_path(),
        Action::Inside(_) | Action::Http(_) | Action::Deny { .. } => panic!("all of them run a program"),
    });
    exec.collect()
}

#[test]
fn what_was_kept_means_what_it_meant_whatever_became_of_the_files() {
    let scratch = kept();
    scratch.write("config.yaml", b"version: 1\nhooks: [\n", 0o644);
    scratch.write("hooks.d/more.yaml", b"nonsense", 0o644);

    let good = find(&scratch).expect("it can be read").expect("it was kept");
    let (config, gone) = good.resolve().unwrap_or_else(|report| panic!("{report}"));

    assert_eq!(good.loaded_at, Timestamp::UNIX_EPOCH);
    assert_eq!(config.path, scratch.path("config.yaml"));
    assert_eq!(programs(&config), [scratch.path("hooks/sound.sh"), scratch.path("hooks.d/more.sh")]);
    assert_eq!(gone, []);
}

#[test]
fn it_is_one_file_that_nobody_else_can_read() {
    let scratch = kept();

    keep(&scratch, Timestamp::MAX).expect("there is room");

    let state = fs::read_dir(scratch.path("state")).expect("it was made");
    let names: Vec<_> = state.map(|it| it.expect("it can be listed").file_name()).collect();
    assert_eq!(names, ["last-good.json"]);
    let mode =
        |name: &str| fs::metadata(scratch.path(name)).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode("state"), mode("state/last-good.json")), (0o700, 0o600));
    let good = find(&scratch).expect("it can be read").expect("it was kept");
    assert_eq!(good.loaded_at, Timestamp::MAX);
}

#[test]
fn what_a_crash_left_half_written_changes_nothing() {
    let scratch = kept();
    scratch.write("state/last-good.json.new", b"{\"format\": 1, \"loa", 0o666);

    assert!(find(&scratch).expect("it can be read").is_some());
    keep(&scratch, Timestamp::MAX).expect("it is written anew");

    let mode = fs::metadata(scratch.path("state/last-good.json")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_program_that_is_gone_is_told_and_its_hook_is_still_there() {
    let scratch = kept();
    fs::remove_file(scratch.path("hooks/sound.sh")).expect("it was there");
    scratch.chmod("hooks.d/more.sh", 0o777);

    let good = find(&scratch).expect("it can be read").expect("it was kept");
    let (config, gone) = good.resolve().unwrap_or_else(|report| panic!("{report}"));

    assert_eq!(programs(&config), [scratch.path("hooks/sound.sh"), scratch.path("hooks.d/more.sh")]);
    let told: Vec<_> = gone.iter().map(|it| (it.file.clone(), it.line, it.code)).collect();
    let places =
        [(scratch.path("config.yaml"), 3, "program"), (scratch.path("hooks.d/more.yaml"), 3, "untrusted")];
    assert_eq!(told, places);
}

#[test]
fn nothing_is_used_that_somebody_else_could_have_written_or_that_is_of_another_file() {
    let scratch = kept();

    let other = Good::find(&scratch.path("state"), &scratch.path("other.yaml"));
    assert!(matches!(other, Err(GoodError::Other { of, .. }) if of == scratch.path("config.yaml")));
    assert!(matches!(Good::find(&scratch.path("hooks"), &scratch.path("config.yaml")), Ok(None)));
    scratch.chmod("state/last-good.json", 0o660);
    assert!(matches!(find(&scratch), Err(GoodError::Distrust(_))));
    scratch.chmod("state/last-good.json", 0o600);
    scratch.chmod("state", 0o777);
    assert!(matches!(find(&scratch), Err(GoodError::Distrust(_))));
    assert!(matches!(keep(&scratch, Timestamp::MAX), Err(GoodError::Distrust(_))));
}

#[test]
fn what_cannot_be_understood_is_told_apart() {
    let scratch = kept();

    scratch.write("state/last-good.json", b"{\"format\": 1", 0o600);
    assert!(matches!(find(&scratch), Err(GoodError::Content { .. })));
    let main = scratch.path("config.yaml");
    let later = serde_json::json!({
        "format": 2, "loaded_at": Timestamp::MAX, "main": {"path": main, "text": ""}, "drop_ins": [],
    });
    scratch.write("state/last-good.json", later.to_string().as_bytes(), 0o600);
    assert!(matches!(find(&scratch), Err(GoodError::Format { format: 2, .. })));
    fs::remove_file(scratch.path("state/last-good.json")).expect("it is ours");
    fs::create_dir(scratch.path("state/last-good.json")).expect("it is new");
    assert!(matches!(find(&scratch), Err(GoodError::Read { .. })));
    assert!(matches!(keep(&scratch, Timestamp::MAX), Err(GoodError::Keep { .. })));
}

#[test]
fn a_file_that_cannot_be_read_is_served_under_the_name_of_the_last_good_one() {
    let scratch = Scratch::new();
    let state_dir = scratch.path("state");
    let text =
        format!("version: 1\nstate_dir: {}\nplugin: {{name: mine}}\noutage: closed\n", state_dir.display());
    scratch.write("config.yaml", text.as_bytes(), 0o644);
    keep(&scratch, Timestamp::MAX).expect("there is room");
    let broken = format!("state_dir: {}\nhooks: [\n", state_dir.display());
    let path = scratch.write("config.yaml", broken.as_bytes(), 0o644);

    let salvaged = config::salvage(&path);

    assert_eq!(salvaged.plugin.as_str(), "mine");
    assert_eq!(salvaged.outage, boathook::hook::Outage::Closed);
    assert_eq!(salvaged.state_dir, state_dir);
}
