//! Who may know whom.

use std::collections::BTreeSet;
use std::path::Path;

use super::reading::Source;
use super::{Breach, assert_none, sources, whats};

/// Each room and the rooms that it may know, from downstream to upstream. Every arrow that is
/// allowed is there: one that nobody needs any more is to be taken out.
pub(super) const ROOMS: &[(&str, &[&str])] = &[
    ("lifecycle", &[]),
    ("reconcile", &["lifecycle"]),
    ("launch", &[]),
    ("hook", &["launch", "lifecycle"]),
    ("run", &["hook", "lifecycle"]),
    ("journal", &["hook", "lifecycle", "run"]),
    ("near", &[]),
    ("trust", &[]),
    ("docker", &["lifecycle", "run"]),
    ("runner", &["docker", "hook", "launch", "lifecycle", "run", "trust"]),
    ("driver", &["hook", "journal", "near", "run", "runner", "trust"]),
    ("engine", &["docker", "hook", "journal", "lifecycle", "run", "runner"]),
    ("source", &["docker", "driver", "engine", "lifecycle", "reconcile", "run"]),
    ("config", &["hook", "launch", "lifecycle", "near", "trust"]),
    ("daemon", &["config", "docker", "driver", "engine", "hook", "journal", "run", "runner", "source"]),
    ("cli", &["config", "daemon", "hook", "journal", "launch", "lifecycle", "run"]),
];

/// What is a door and no room, and what it may know: the library, the program, and in `bin` the
/// program that becomes a script.
const DOORS: &[(&str, &[&str])] = &[("lib", &[]), ("main", &["cli"]), ("bin", &["launch", "runner"])];

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().chain(DOORS).find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

/// The arrows out of a file: the room that each leads to, and the line.
fn arrows(source: &Source) -> impl Iterator<Item = (&str, usize)> {
    let local = source.mentions.iter().filter(|it| it.path[0] == "crate");
    let arrows = local.map(|it| (it.path.get(1).map_or("crate", String::as_str), it.line));
    arrows.filter(|(to, _)| *to != source.room)
}

/// Arrows that are not in the table, and rooms that are not.
fn breaches(source: &Source) -> Vec<Breach> {
    let Some(allowed) = allowed(&source.room) else {
        let what = format!("room `{}` is not in the table: say what it may know", source.room);
        return vec![source.breach(1, what)];
    };
    let forbidden = arrows(source).filter(|(to, _)| !allowed.contains(to));
    forbidden
        .map(|(to, line)| source.breach(line, format!("`{}` must not know `{to}`", source.room)))
        .collect()
}

/// Arrows of the table that no file has.
fn unused(sources: &[Source]) -> Vec<(&'static str, &'static str)> {
    let drawn: BTreeSet<(&str, &str)> =
        sources.iter().flat_map(|it| arrows(it).map(|(to, _)| (it.room.as_str(), to))).collect();
    let written = ROOMS.iter().chain(DOORS).flat_map(|(from, to)| to.iter().map(|to| (*from, *to)));
    written.filter(|it| !drawn.contains(it)).collect()
}

#[test]
fn a_room_knows_only_rooms_downstream_of_it() {
    assert_none(&sources().iter().flat_map(breaches).collect::<Vec<_>>());
}

#[test]
fn every_arrow_of_the_table_is_drawn_and_every_room_of_it_is_there() {
    let sources = sources();

    assert_eq!(unused(&sources), [], "arrows that nobody needs");
    let there: BTreeSet<_> = sources.iter().map(|it| it.room.as_str()).collect();
    let written: BTreeSet<_> = ROOMS.iter().chain(DOORS).map(|(room, _)| *room).collect();
    assert_eq!(written, there);
}

#[test]
fn the_table_goes_one_way() {
    for (nth, (room, knows)) in ROOMS.iter().enumerate() {
        let downstream: Vec<_> = ROOMS[..nth].iter().map(|(room, _)| *room).collect();
        for known in *knows {
            assert!(downstream.contains(known), "`{room}` knows `{known}`, which is not downstream of it");
        }
    }
}

fn breaches_of(file: &str, text: &str) -> Vec<Breach> {
    breaches(&Source::read(Path::new(file), text))
}

#[test]
fn an_arrow_upstream_is_found_with_its_place() {
    let text =
        "use crate::lifecycle::Event;\n\nuse crate::{\n    engine::Engine,\n    lifecycle::Point,\n};\n";

    let found = breaches_of("src/hook.rs", text);

    assert_eq!(whats(&found), ["`hook` must not know `engine`"]);
    assert_eq!((found[0].file.as_path(), found[0].line), (Path::new("src/hook.rs"), 4));
}

#[test]
fn an_arrow_is_found_wherever_it_is_hidden() {
    for text in [
        "fn f() { crate::engine::start() }",
        "#[cfg(test)] mod tests { use crate::engine::Engine; }",
        "use super::super::engine;",
        "use crate as all;",
        "use crate::*;",
        "debug!(%it, crate::engine::NAME);",
    ] {
        assert!(!breaches_of("src/lifecycle/point.rs", text).is_empty(), "{text}");
    }
    assert_eq!(
        breaches_of("src/lifecycle/point.rs", "use super::event::Event; use crate::lifecycle::Facts;"),
        []
    );
}

#[test]
fn a_room_without_a_line_in_the_table_is_found() {
    let found = breaches_of("src/pantry/jam.rs", "");

    assert_eq!(whats(&found), ["room `pantry` is not in the table: say what it may know"]);
}

#[test]
fn an_arrow_that_is_not_drawn_is_found() {
    let hook = Source::read(Path::new("src/hook.rs"), "// use crate::lifecycle::Event;");

    assert!(unused(&[hook]).contains(&("hook", "lifecycle")));
    let hook = Source::read(Path::new("src/hook.rs"), "use crate::lifecycle::Event;");
    assert!(!unused(&[hook]).contains(&("hook", "lifecycle")));
}
