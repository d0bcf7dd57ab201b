//! A daemon that is killed while it writes.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use boathook::journal::{Reader, RunFilter};
use boathook::run::{DebtState, Entry};

use super::values::{Runs, lived, owes, read, started, whole};
use super::world::{Folder, World};

/// Makes the test below that is otherwise not run write into the store that it names.
const STORM: &str = "BOATHOOK_TEST_STORM";

/// How many commits the storm lives to see.
const COMMITS: usize = 40;

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let folder = Folder::new();
    let dir = folder.store();
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.args(["--exact", "journal::crash::storms", "--ignored", "--nocapture"]);
    let mut storm = command.env(STORM, &dir).stdout(Stdio::piped()).spawn().expect("start this program");
    let lines = BufReader::new(storm.stdout.take().expect("a piped stdout")).lines().map_while(Result::ok);

    let told = lines.filter_map(|it| Some(it.split_once("committed=")?.1.to_owned()));
    let committed: Vec<String> = told.take(COMMITS).collect();
    storm.kill().expect("it lives");
    storm.wait().expect("reap this program");

    assert_eq!(committed.len(), COMMITS);
    let world = World::open(&dir);
    let owed: Vec<&str> = world.remembered.debts.iter().map(|it| it.id.as_str()).collect();
    let open: Vec<&str> = world.remembered.runs.iter().map(|it| it.run.id.as_str()).collect();
    for run in &committed {
        assert!(owed.contains(&run.as_str()) && open.contains(&run.as_str()), "{run} is lost");
    }
    world.close();
    // What comes together is there together.
    let all = RunFilter { limit: 1_000_000, ..RunFilter::default() };
    let runs = Reader::open(&dir).expect("a store").runs(&all).expect("every row can be read");
    let other = |it: &&boathook::journal::Record| it.run.event.subject.id.starts_with("other");
    assert!(runs.iter().filter(other).all(|it| it.attempts.len() == 1 && it.conclusion().is_some()));
}

#[test]
#[ignore = "played in a process of its own, for the test above to kill"]
fn storms() {
    let Some(dir) = env::var_os(STORM).map(PathBuf::from) else { return };
    let (world, runs) = (World::open(&dir), Runs::new());
    for round in 0.. {
        for other in 0..50 {
            let run = runs.next(&format!("other-{other}"));
            let consequences = [lived(&format!("other-{other}"), Some("web")), read(round, other)];
            world.append(whole(&run).into_iter().chain(consequences));
        }
        let run = runs.next("web");
        let begun = [Entry::Planned(run.clone()), started(&run.id, 1), owes(&run, DebtState::Owed)];
        world.commit(begun).expect("the disk is sound");
        writeln!(io::stdout(), "committed={}", run.id).expect("somebody listens");
    }
}
