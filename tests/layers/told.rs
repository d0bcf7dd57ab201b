//! What is told of the rooms is what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::arrows::ROOMS;
use super::{PACKAGE, text};

/// The rooms of the table in Markdown whose first column is `room`, and whose third column names the
/// rooms that one may know.
fn rooms_told(markdown: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let table = markdown.lines().skip_while(|it| !it.starts_with("| room |"));
    let table = table.take_while(|it| it.starts_with('|'));
    let rows = table.map(|it| it.split('|').map(str::trim).collect::<Vec<_>>());
    let rooms = rows.filter_map(|row| match row.as_slice() {
        ["", room, _, knows, _, ""] => Some((room.strip_prefix('`')?.strip_suffix('`')?, words(knows))),
        _ => None,
    });
    rooms.collect()
}

/// What stands in backticks.
fn words(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_architecture_tells_every_room_and_arrow() {
    let architecture = text(&Path::new(PACKAGE).join("docs/architecture.md"));

    let told = rooms_told(&architecture);

    let real = ROOMS.iter().map(|(room, knows)| (*room, knows.iter().copied().collect()));
    assert_eq!(told, real.collect());
}

#[test]
fn the_front_page_of_the_crate_names_every_room() {
    let page = text(&Path::new(PACKAGE).join("src/lib.rs"));

    for (room, _) in ROOMS {
        assert!(page.contains(&format!("[`{room}`]")), "`src/lib.rs` does not speak of `{room}`");
    }
}

#[test]
fn a_table_of_rooms_is_read() {
    let table = "| room | for | may know | promise |\n|---|---|---|---|\n\
        | `hook` | matching | `lifecycle` | `pure` |\n| `trust` | owners | – | |\n\n| `task` | a | `b` | c |\n";

    let told = rooms_told(table);

    assert_eq!(told, [("hook", ["lifecycle"].into()), ("trust", BTreeSet::new())].into());
}
