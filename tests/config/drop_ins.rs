//! Drop-ins, read from real directories.
//!
//! Each directory in `drop-ins` is copied next to the scripts of `scratch`, and what is said about its
//! `config.yaml` must be its `out` to the letter. `BLESS=1` writes the `out` files anew.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use boathook::config::{self, Config};
use boathook::hook::Action;

use super::scratch::Scratch;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/drop-ins")
}

fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

/// A scratch directory with these drop-ins beside a `config.yaml`.
fn scratch(main: &[u8], drop_ins: &[(&str, &[u8])]) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("config.yaml", main, 0o644);
    fs::create_dir(scratch.path("hooks.d")).expect("it is new");
    scratch.chmod("hooks.d", 0o755);
    for (name, content) in drop_ins {
        scratch.write(&format!("hooks.d/{name}"), content, 0o644);
    }
    scratch
}

/// The example `NAME`, set up.
fn example(path: &Path) -> Scratch {
    let read = |it: &Path| fs::read(it).expect("it was listed");
    let drop_ins: Vec<(String, Vec<u8>)> = listed(&path.join("hooks.d"))
        .iter()
        .map(|it| (it.file_name().expect("it has a name").to_string_lossy().into_owned(), read(it)))
        .collect();
    let drop_ins: Vec<(&str, &[u8])> =
        drop_ins.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    scratch(&read(&path.join("config.yaml")), &drop_ins)
}

fn told(scratch: &Scratch) -> String {
    match config::load(&scratch.path("config.yaml")) {
        Ok(_) => "no mistakes\n".to_owned(),
        Err(report) => scratch.shorten(&report.to_string()),
    }
}

#[test]
fn the_mistakes_of_all_files_are_told_at_once() {
    let bless = std::env::var_os("BLESS").is_some();
    for path in listed(&directory()) {
        let told = told(&example(&path));
        if bless {
            fs::write(path.join("out"), &told).expect("the source tree can be written");
        }
        let expected = fs::read_to_string(path.join("out")).unwrap_or_default();
        assert_eq!(told, expected, "{}: `BLESS=1` writes what is told", path.display());
    }
}

fn sound() -> (Scratch, Config) {
    let scratch = example(&directory().join("sound"));
    let config = config::load(&scratch.path("config.yaml")).unwrap_or_else(|report| panic!("{report}"));
    (scratch, config)
}

#[test]
fn a_later_hook_of_the_same_name_stands_where_the_first_stood() {
    let (_scratch, config) = sound();

    let told = config.hooks.iter().map(|it| {
        let Action::Exec(command) = &it.action else { panic!("all of them run a program") };
        format!("{} {}", it.name, command.argv[1].display())
    });

    assert_eq!(told.collect::<Vec<_>>(), ["first package", "second main", "package ours"]);
}

#[test]
fn each_hook_knows_its_file_and_whom_it_replaces() {
    let (scratch, config) = sound();
    let origin = |name: &str| {
        let (_, origin) = config.origins.iter().find(|(it, _)| it.as_str() == name).expect("it is there");
        let short = |it: &Path| it.strip_prefix(&scratch).expect("it is in there").display().to_string();
        (short(&origin.file), origin.replaces.iter().map(|it| short(it)).collect::<Vec<_>>())
    };

    assert_eq!(origin("second"), ("config.yaml".to_owned(), vec![]));
    assert_eq!(origin("first"), ("hooks.d/10-package.yaml".to_owned(), vec!["config.yaml".to_owned()]));
    let replaced = vec!["hooks.d/10-package.yaml".to_owned()];
    assert_eq!(origin("package"), ("hooks.d/90-ours.yaml".to_owned(), replaced));
    assert_eq!(config.passed_over, [scratch.path("hooks.d/90-ours.yaml~")]);
}

#[test]
fn a_path_is_relative_to_the_file_in_which_it_stands() {
    let text = b"version: 1\nhooks:\n  - {name: a, at: post_start, exec: [./own.sh]}\n";
    let scratch = scratch(b"version: 1\n", &[("a.yaml", text)]);
    scratch.write("hooks.d/own.sh", b"#!/bin/sh\n", 0o755);

    let config = config::load(&scratch.path("config.yaml")).unwrap_or_else(|report| panic!("{report}"));

    let Action::Exec(command) = &config.hooks[0].action else { panic!("it runs a program") };
    assert!(command.program.ends_with("hooks.d/./own.sh") || command.program.ends_with("hooks.d/own.sh"));
    assert_eq!(command.working_dir, scratch.path("hooks.d"));
}

#[test]
fn a_script_comes_from_a_drop_in_as_well_and_a_later_one_takes_its_place() {
    let main = b"version: 1\nscripts: {ovs: {exec: [hooks/sound.sh, main]}}\n";
    let drop_in = b"version: 1\nscripts:\n  ovs: {exec: [../hooks/sound.sh, ours]}\n  luks: {exec: [../hooks/sound.sh]}\n";
    let scratch = scratch(main, &[("a.yaml", drop_in)]);

    let config = config::load(&scratch.path("config.yaml")).expect("no mistakes");

    let told = config.scripts.values().map(|it| (it.name.as_str(), it.command.argv.last().cloned()));
    let [luks, ovs] = told.collect::<Vec<_>>().try_into().expect("two scripts");
    assert_eq!(luks.0, "luks");
    assert_eq!(ovs, ("ovs", Some("ours".into())));
}

#[test]
fn what_is_no_drop_in_is_told_apart() {
    let scratch = scratch(b"version: 1\n", &[("fine.yaml", b"version: 1\n")]);
    fs::create_dir(scratch.path("hooks.d/folder.yaml")).expect("it is new");
    symlink("nothing.yaml", scratch.path("hooks.d/dangling.yaml")).expect("it is new");
    symlink("/dev/null", scratch.path("hooks.d/device.yaml")).expect("it is new");
    scratch.write("hooks.d/large.yaml", &vec![b'#'; 2 << 20], 0o644);

    let told = told(&scratch);

    let first_lines: Vec<&str> = told.lines().filter(|it| it.starts_with("hooks.d")).collect();
    assert_eq!(
        first_lines,
        [
            "hooks.d/dangling.yaml:1:1: this link leads to nothing [file]",
            "hooks.d/device.yaml:1:1: this is not a regular file [file]",
            "hooks.d/folder.yaml:1:1: this is a directory, and a drop-in is a file [file]",
            "hooks.d/large.yaml:1:1: the file is larger than 1 MiB, no configuration is [too-large]",
        ]
    );
}

#[test]
fn a_directory_of_drop_ins_that_is_none_is_told() {
    let scratch = Scratch::new();
    scratch.write("config.yaml", b"version: 1\n", 0o644);

    assert_eq!(told(&scratch), "no mistakes\n");
    scratch.write("hooks.d", b"version: 1\n", 0o644);
    assert!(
        told(&scratch).starts_with("hooks.d:1:1: this is a file, and drop-ins lie in a directory [file]")
    );
    fs::remove_file(scratch.path("hooks.d")).expect("it is ours");
    symlink("nowhere", scratch.path("hooks.d")).expect("it is new");
    assert!(told(&scratch).starts_with("hooks.d:1:1: this link leads to nothing [file]"));
}

#[test]
fn drop_ins_that_others_could_write_are_refused() {
    let scratch = scratch(b"version: 1\n", &[("a.yaml", b"version: 1\n"), ("b.yaml", b"version: 1\n")]);
    scratch.chmod("hooks.d/a.yaml", 0o664);

    assert_eq!(
        told(&scratch),
        "hooks.d/a.yaml:1:1: `hooks.d/a.yaml` can be written by its group (mode 0664) [untrusted]\n\
         help: run `chmod go-w hooks.d/a.yaml`\n"
    );
    scratch.chmod("hooks.d/a.yaml", 0o644);
    scratch.chmod("hooks.d", 0o777);
    assert_eq!(
        told(&scratch),
        "hooks.d:1:1: `hooks.d` can be written by its group and everybody else (mode 0777) [untrusted]\n\
         help: run `chmod go-w hooks.d`\n"
    );
}

#[test]
fn a_missing_file_says_nothing_about_what_lies_beside_it() {
    let scratch = scratch(b"", &[("a.yaml", b"nonsense")]);

    let report = config::load(&scratch.path("other.yaml")).expect_err("it is not there");

    assert_eq!(report.diagnostics().len(), 1, "{report}");
}
