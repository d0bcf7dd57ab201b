//! `boathook backup`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use boathook::journal::{DebtFilter, Reader, RunFilter};
use serde_json::json;

use super::scene::{entries, scene};
use super::world::World;

#[test]
fn a_copy_is_made_while_a_daemon_is_there_and_says_what_it_holds() {
    let world = World::with(entries(&scene()));
    let _daemon = world.played(Vec::new());
    let (copy, file) = (world.path("copy"), world.path("copy/journal.db"));
    fs::create_dir(&copy).expect("the directory can be written");

    let said = world.boathook(&["backup", &file.to_string_lossy()]);

    let bytes = fs::metadata(&file).expect("there is a copy").len();
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_eq!(said.stdout, format!("{}: 9 runs, 3 debts, {bytes} bytes\n", file.display()));
    assert_eq!(fs::metadata(&file).expect("there is a copy").permissions().mode() & 0o777, 0o600);
    let reader = Reader::open(&copy).expect("it is a store");
    assert_eq!(reader.runs(&RunFilter::default()).expect("it can be read").len(), 9);
    let all = DebtFilter { closed: true, ..DebtFilter::default() };
    assert_eq!(reader.debts(&all).expect("it can be read").len(), 3);
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let world = World::with(entries(&scene()));
    let file = world.write("mine", "precious");

    let refused = world.boathook(&["backup", &file.to_string_lossy()]);

    assert_eq!(refused.code, Some(1));
    assert_eq!(
        refused.stderr,
        format!(
            "error: `{}` is there already\nhelp: name another file, or remove that one\n",
            file.display()
        )
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
}

#[test]
fn a_copy_is_told_to_programs_as_well() {
    let world = World::with(entries(&scene()));
    let file = world.path("copy.db");

    let told = world.json(&["backup", &file.to_string_lossy()]);

    let bytes = fs::metadata(&file).expect("there is a copy").len();
    assert_eq!(told, json!({"file": file, "runs": 9, "debts": 3, "bytes": bytes}));
}
