//! A disk without space, and one that cannot be written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use boathook::journal::{self, CommitError, OpenError, Reader, Retention, RunFilter, Standing};
use boathook::run::{DebtState, Entry};
use nix::sched::{CloneFlags, unshare};

use super::values::{Runs, owes, read, started, whole};
use super::world::{Folder, World, look};

/// So many runs need more than the space that is left over on a full disk, and less than there is on an
/// empty one.
const MANY: usize = 500;

/// Plays `story` in a file system of its own that holds 8 MiB, seen by nobody else. Says so, and
/// plays nothing, where one may not mount.
fn on_a_small_disk(story: fn(&Path)) {
    let folder = Folder::new();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("the folder is new");
    // Threads share what they see of the file system, until one does not; the writer's is its child.
    let played = thread::spawn(move || {
        if unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).is_err() {
            return writeln!(io::stderr(), "skipped: only root may mount").expect("somebody reads it");
        }
        mount(&["--make-rprivate", "/"]);
        mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk.to_str().expect("a path of letters")]);
        story(&disk);
    });
    played.join().expect("the story is true");
}

fn mount(arguments: &[&str]) {
    assert!(Command::new("mount").args(arguments).status().expect("start `mount`").success());
}

/// Takes all the space there is.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

#[test]
fn a_full_disk_loses_nothing_and_is_got_over_without_a_restart() {
    on_a_small_disk(|disk| {
        let dir = disk.join("state");
        let (world, runs) = (World::open(&dir), Runs::new());
        let before = runs.next("before");
        world.commit([Entry::Planned(before.clone())]).expect("on disk");
        let filler = fill(disk);

        let appended: Vec<_> = (0..MANY).map(|_| runs.next("meanwhile")).collect();
        for run in &appended {
            world.append(whole(run).into_iter().chain([read(1, 1)]));
        }
        world.wait_until(|it| *it != Standing::Writable);
        let refused = runs.next("refused");
        let begun =
            [Entry::Planned(refused.clone()), started(&refused.id, 1), owes(&refused, DebtState::Owed)];
        let answer = world.commit(begun.clone());
        let last = runs.next("last");
        world.append(whole(&last));

        let Err(CommitError::Unwritable { why }) = answer else { panic!("{answer:?}") };
        assert!(why.contains("no space is left") && why.contains(dir.to_str().unwrap()), "{why}");
        fs::remove_file(filler).expect("there is a file");
        world.wait_until(|it| *it == Standing::Writable);
        // As if it had never been asked for.
        world.commit(begun).expect("there is space again");
        world.close();
        let all = RunFilter { limit: u32::MAX, ..RunFilter::default() };
        let found = Reader::open(&dir).expect("a store").runs(&all).expect("runs");
        let found: Vec<_> = found.iter().map(|it| it.run.id.clone()).collect();
        for run in appended.iter().chain([&before, &refused, &last]) {
            assert!(found.contains(&run.id), "{} is lost", run.id);
        }
        assert_eq!(found.len(), MANY + 3);
        assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM debt"), 1);
    });
}

#[test]
fn a_daemon_that_ends_on_a_full_disk_does_not_wait_for_ever() {
    on_a_small_disk(|disk| {
        let (world, runs) = (World::open(&disk.join("state")), Runs::new());
        fill(disk);
        for _ in 0..MANY {
            world.append(whole(&runs.next("meanwhile")));
        }
        world.wait_until(|it| *it != Standing::Writable);

        world.close();
    });
}

#[test]
fn a_full_disk_is_named_when_the_store_is_opened() {
    on_a_small_disk(|disk| {
        fs::create_dir(disk.join("state")).expect("the folder is new");
        fill(disk);

        let refused = journal::open(&disk.join("state"), Retention::default()).expect_err("no space");

        assert!(matches!(&refused, OpenError::Unusable { why } if why.contains("no space")), "{refused}");
    });
}

#[test]
fn a_disk_that_is_read_only_can_be_read() {
    on_a_small_disk(|disk| {
        let dir = disk.join("state");
        let (world, runs) = (World::open(&dir), Runs::new());
        world.append(whole(&runs.next("web")));
        world.close();
        mount(&["-o", "remount,ro", disk.to_str().expect("a path of letters")]);

        let refused = journal::open(&dir, Retention::default()).expect_err("read-only");
        let found = Reader::open(&dir).expect("a store").runs(&RunFilter::default()).expect("runs");

        assert!(refused.to_string().contains("journal.lock"), "{refused}");
        assert!(refused.fix().expect("there is something to do").contains("writable"));
        assert_eq!(found.len(), 1);
        mount(&["-o", "remount,rw", disk.to_str().expect("a path of letters")]);
        World::open(&dir).close();
    });
}
