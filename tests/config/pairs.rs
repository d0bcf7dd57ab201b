//! Pairs of files: a configuration, and all that is said about it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use boathook::config;

use super::scratch::Scratch;

pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// The files here that end in `.EXTENSION`, without it, by name.
pub(super) fn names(extension: &str) -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("the directory of this file is there");
    let paths = entries.map(|it| it.expect("it can be listed").path());
    let mut names: Vec<String> = paths
        .filter(|it| it.extension().is_some_and(|it| it == extension))
        .map(|it| it.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What is said about `NAME.yaml`.
fn told(name: &str, scratch: &Scratch) -> String {
    let file = format!("{name}.yaml");
    let content = fs::read(directory().join(&file)).expect("it was listed");
    match config::load(&scratch.write(&file, &content, 0o644)) {
        Ok(_) => "no mistakes\n".to_owned(),
        Err(report) => scratch.shorten(&report.to_string()),
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_fix() {
    let scratch = Scratch::new();
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for name in names("yaml") {
        let out = directory().join(format!("{name}.out"));
        let told = told(&name, &scratch);
        if bless {
            fs::write(&out, &told).expect("the source tree can be written");
        }
        let expected = fs::read_to_string(&out).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{name}.yaml\n--- expected\n{expected}--- told\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n`BLESS=1` writes what is told", wrong.join("\n"));
}

#[test]
fn no_expectation_is_left_without_its_configuration() {
    assert_eq!(names("out"), names("yaml"));
}

#[test]
fn every_mistake_has_a_fix_and_none_is_told_twice() {
    let scratch = Scratch::new();
    for name in names("yaml") {
        let file = format!("{name}.yaml");
        let content = fs::read(directory().join(&file)).expect("it was listed");
        let Err(report) = config::load(&scratch.write(&file, &content, 0o644)) else { continue };
        let found = report.diagnostics();
        for (nth, diagnostic) in found.iter().enumerate() {
            assert!(diagnostic.help.is_some(), "{name}: {}", diagnostic.message);
            assert!(!found[..nth].contains(diagnostic), "{name}: {}", diagnostic.message);
        }
        let of_one_file: Vec<_> = found.chunk_by(|one, next| one.file == next.file).collect();
        let files: BTreeSet<_> = found.iter().map(|it| &it.file).collect();
        assert_eq!(of_one_file.len(), files.len(), "each file's mistakes stand together:\n{report}");
        for found in of_one_file {
            assert!(found.is_sorted_by_key(|it| (it.line, it.column)), "{name}:\n{report}");
        }
    }
}

#[test]
fn eight_mistakes_are_eight_objects_for_programs() {
    let scratch = Scratch::new();
    let content = fs::read(directory().join("eight-mistakes.yaml")).expect("the file is beside this one");
    let path = scratch.write("eight-mistakes.yaml", &content, 0o644);

    let report = config::load(&path).expect_err("the file has eight mistakes");

    let json = report.to_json();
    let objects = json.as_array().expect("an array was promised");
    assert_eq!(objects.len(), 8, "{json:#}");
    for object in objects {
        let keys: Vec<&String> = object.as_object().expect("objects were promised").keys().collect();
        assert_eq!(keys, ["code", "column", "file", "help", "line", "message"]);
        assert_eq!(object["file"], path.display().to_string());
    }
}

#[test]
fn what_is_no_configuration_file_is_told_apart() {
    let scratch = Scratch::new();
    let said = |path: &Path| {
        let report = config::load(path).expect_err("this is no configuration");
        scratch.shorten(&report.to_string()).lines().next().expect("something is said").to_owned()
    };

    assert_eq!(said(&scratch.path("missing.yaml")), "missing.yaml:1:1: there is no such file [file]");
    assert_eq!(said(&scratch.path("hooks")), "hooks:1:1: this is a directory, not a file [file]");
    assert_eq!(said(Path::new("/dev/null")), "/dev/null:1:1: this is not a regular file [file]");
    let large = scratch.write("large.yaml", &vec![b'#'; 2 << 20], 0o644);
    assert_eq!(
        said(&large),
        "large.yaml:1:1: the file is larger than 1 MiB, no configuration is [too-large]"
    );
}

#[test]
fn a_file_that_others_can_write_is_refused_with_its_other_mistakes() {
    let scratch = Scratch::new();
    let path = scratch.write("loose.yaml", b"version: 1\noutage: maybe\n", 0o666);

    let report = config::load(&path).expect_err("everybody can write it");

    let codes: Vec<&str> = report.diagnostics().iter().map(|it| it.code).collect();
    assert_eq!(codes, ["untrusted", "unknown-value"]);
    let help = report.diagnostics()[0].help.as_deref().map(|it| scratch.shorten(it));
    assert_eq!(help.as_deref(), Some("run `chmod go-w loose.yaml`"));
}

#[test]
fn a_broken_file_still_says_how_to_answer() {
    let scratch = Scratch::new();
    let text = b"version: 1\nhooks: [\noutage: closed\nplugin: {name: mine}\n";
    let path = scratch.write("broken.yaml", text, 0o644);

    let salvaged = config::salvage(&path);

    assert!(config::load(&path).is_err());
    assert_eq!(salvaged.outage, boathook::hook::Outage::Closed);
    assert_eq!(salvaged.plugin.as_str(), "mine");
    assert_eq!(config::salvage(&scratch.path("missing.yaml")), config::Salvaged::default());
}
