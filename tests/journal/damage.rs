//! Files that are not whole, or not ours.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use boathook::journal::{self, OpenError, Reader, Retention, Standing};
use boathook::run::Entry;

use super::values::{Runs, whole};
use super::world::{Folder, World, look};

fn refused(dir: &Path) -> OpenError {
    journal::open(dir, Retention::default()).expect_err("there is something wrong with the file")
}

fn with_a_run(dir: &Path) {
    let world = World::open(dir);
    world.append(whole(&Runs::new().next("web")));
    world.close();
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let folder = Folder::new();
    let (dir, file) = (folder.store(), folder.store().join("journal.db"));
    with_a_run(&dir);
    let damage = |at: u64| {
        let whole = fs::read(&file).expect("there is a file");
        let damaged = OpenOptions::new().write(true).open(&file).expect("it can be written");
        damaged.write_all_at(&[0x5a; 512], at).expect("there is space");
        let found = refused(&dir);
        assert!(matches!(found, OpenError::Damaged { .. }), "{found}");
        assert!(found.to_string().contains(file.to_str().unwrap()), "{found}");
        assert!(found.fix().expect("there is something to do").contains("backup"));
        assert!(file.exists(), "never deleted");
        fs::write(&file, whole).expect("there is space");
    };

    damage(0);
    damage(100);

    World::open(&dir).close();
}

#[test]
fn files_of_others_are_refused() {
    let folder = Folder::new();
    let dir = folder.store();
    fs::create_dir(&dir).expect("the folder is new");
    let other = rusqlite::Connection::open(dir.join("journal.db")).expect("a database");
    other.execute_batch("CREATE TABLE theirs (x)").expect("it can be written");

    assert!(matches!(refused(&dir), OpenError::Foreign { .. }));
    assert!(matches!(Reader::open(&dir), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_store_of_a_newer_boathook_is_refused() {
    let folder = Folder::new();
    let dir = folder.store();
    with_a_run(&dir);
    let newer = rusqlite::Connection::open(dir.join("journal.db")).expect("a database");
    newer.pragma_update(None, "user_version", 1_000).expect("it can be written");
    drop(newer);

    assert!(matches!(refused(&dir), OpenError::Newer { found: 1_000, .. }));
    assert!(matches!(Reader::open(&dir), Err(OpenError::Newer { .. })));
}

#[test]
fn a_write_ahead_log_that_is_cut_short_costs_only_its_end() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let (dir, torn) = (folder.store(), copy.store());
    let (world, runs) = (World::open(&dir), Runs::new());
    for _ in 0..20 {
        world.commit(whole(&runs.next("web"))).expect("on disk");
    }
    fs::create_dir(&torn).expect("the folder is new");
    // As a machine leaves it that loses its power: the file as it was, the log half written.
    for name in ["journal.db", "journal.db-wal"] {
        fs::copy(dir.join(name), torn.join(name)).expect("there is space");
    }
    world.close();
    let log = OpenOptions::new().write(true).open(torn.join("journal.db-wal")).expect("there is a log");
    let bytes = log.metadata().expect("a file").len();
    log.set_len(bytes / 2 + 100).expect("it can be cut");

    World::open(&torn).close();

    let left: i64 = look(&torn, "SELECT count(*) FROM run");
    assert!((1..20).contains(&left), "{left} of 20 runs");
    assert_eq!(look::<String>(&torn, "PRAGMA integrity_check"), "ok");
    assert_eq!(look::<i64>(&torn, "SELECT count(*) FROM run WHERE conclusion IS NULL"), 0);
}

#[test]
fn a_file_that_is_moved_away_while_it_is_written_is_missed_until_it_is_back() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let (dir, file) = (folder.store(), folder.store().join("journal.db"));
    let world = World::open(&dir);
    world.commit([Entry::Planned(runs.next("before"))]).expect("on disk");
    fs::rename(&file, folder.path().join("aside")).expect("it can be moved");

    world.wait_until(|it| *it != Standing::Writable);
    let refused = world.commit([Entry::Planned(runs.next("refused"))]).expect_err("there is no file");
    let meanwhile = runs.next("meanwhile");
    world.append(whole(&meanwhile));
    assert!(refused.to_string().contains("moved or removed"), "{refused}");
    fs::rename(folder.path().join("aside"), &file).expect("it can be moved");

    world.wait_until(|it| *it == Standing::Writable);
    world.close();
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM run"), 2);
    assert_eq!(look::<String>(&dir, "PRAGMA integrity_check"), "ok");
}
