//! Where the commands look for the journal, and what they say when there is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::geteuid;

use super::scene::{entries, id, scene};
use super::world::{World, said};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn where_no_daemon_has_run_nothing_is_listed_and_nothing_can_be_done() {
    let world = World::empty();

    for command in ["runs", "debts"] {
        let listed = world.boathook(&[command]);
        assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), ""));
        assert!(listed.stderr.starts_with("nothing has run yet: there is no `"), "{listed:?}");
        assert!(listed.stderr.contains("look whether `state_dir` is meant"), "{listed:?}");
        assert_eq!(world.json(&[command]), serde_json::json!([]));
    }
    for arguments in
        [&["retry", "06h"][..], &["debts", "--forgive", "06h"], &["backup", "copy"], &["runs", "06h"]]
    {
        let refused = world.boathook(arguments);
        assert_eq!(refused.code, Some(3), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.starts_with("error: there is no `"), "{refused:?}");
    }
    assert!(!world.state().exists());
}

#[test]
fn a_broken_configuration_keeps_nobody_from_seeing_what_is_owed() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let broken = world.write("broken.yaml", &format!("hooks: [\n\nstate_dir: {}\n", world.state().display()));

    let listed = world.boathook_with(&broken, &["debts"]);

    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout.contains(id(&scene.net)), "{listed:?}");
}

#[test]
fn a_configuration_that_is_named_and_not_there_is_a_mistake_on_the_command_line() {
    let world = World::with(Vec::new());

    let refused = world.boathook_with(&world.path("none.yaml"), &["debts"]);

    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("none.yaml`: No such file"), "{refused:?}");
}

#[test]
fn who_is_not_root_is_told_what_helps() {
    if !geteuid().is_root() {
        return;
    }
    let world = World::with(entries(&scene()));
    // The one that was built may lie where nobody else can reach it.
    let program = world.path("boathook");
    fs::copy(env!("CARGO_BIN_EXE_boathook"), &program).expect("it can be copied");
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        said(command.args(arguments).arg("-c").arg(world.path("config.yaml")).uid(NOBODY).gid(NOBODY))
    };

    for arguments in [&["debts"][..], &["runs"], &["retry", "--failed"], &["backup", "/tmp/none/copy"]] {
        let refused = as_nobody(arguments);

        assert_eq!(refused.code, Some(3), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains("Permission denied"), "{refused:?}");
        assert!(refused.stderr.contains("\nhelp: the journal is for root alone"), "{refused:?}");
    }
}
