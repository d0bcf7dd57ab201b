//! Copies of a store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use boathook::journal::{BackupError, Reader, RunFilter};
use boathook::run::Entry;

use super::values::{Runs, engine, read, whole};
use super::world::{Folder, World};

#[test]
fn a_copy_made_while_the_store_is_written_is_whole_and_says_whose_it_is() {
    let (folder, copies, runs) = (Folder::new(), Folder::new(), Runs::new());
    let (dir, copy) = (folder.store(), copies.path().join("journal.db"));
    let world = World::open(&dir);
    let run = runs.next("web");
    world.commit([Entry::Planned(run.clone()), read(1, 1)]).expect("on disk");
    assert_eq!(world.remembered.copy_of, None);

    world.append(whole(&runs.next("meanwhile")));
    world.journal.backup(&copy).expect("there is space");
    let again = world.journal.backup(&copy);
    world.close();

    assert!(matches!(again, Err(BackupError::Exists { .. })), "{again:?}");
    assert_eq!(fs::metadata(&copy).expect("a file").permissions().mode() & 0o777, 0o600);
    let world = World::open(copies.path());
    assert_eq!(world.remembered.copy_of, Some(engine()));
    assert_eq!(world.remembered.runs[0].run.id, run.id);
    world.close();
    let world = World::open(copies.path());
    assert_eq!(world.remembered.copy_of, Some(engine()), "until it is accepted");
    world.journal.accept_copy();
    world.close();
    let world = World::open(copies.path());
    assert_eq!(world.remembered.copy_of, None);
    world.close();
    let original = World::open(&dir);
    assert_eq!(original.remembered.copy_of, None);
    original.close();
}

#[test]
fn a_copy_can_be_made_while_the_daemon_is_away_and_leaves_nothing_where_it_fails() {
    let (folder, copies, runs) = (Folder::new(), Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    world.append(whole(&runs.next("web")));
    world.close();
    let reader = Reader::open(&dir).expect("a store");

    reader.backup(&copies.path().join("journal.db")).expect("there is space");
    let nowhere = reader.backup(&copies.path().join("missing/journal.db"));

    let copied = Reader::open(copies.path()).expect("a store").runs(&RunFilter::default()).expect("runs");
    assert_eq!(copied.len(), 1);
    assert!(matches!(nowhere, Err(BackupError::Write { .. })), "{nowhere:?}");
    let left: Vec<_> =
        fs::read_dir(copies.path()).expect("a folder").flatten().map(|it| it.file_name()).collect();
    assert!(left.iter().all(|it| it.to_string_lossy().starts_with("journal.db")), "{left:?}");
}
