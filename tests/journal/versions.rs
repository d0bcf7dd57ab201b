//! Stores of every version that there has been.
//!
//! `versions/N.sql` is a store of version N, as `sqlite3 journal.db .dump` told it, and is never
//! changed once that version has been released: it also holds what our types looked like then.
//! `BLESS=1` writes that of the present version anew.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use boathook::journal::{DebtFilter, Reader, RunFilter};
use boathook::run::{Conclusion, DebtState, Entry, Holding, HoldingKind, Outcome, RunState};
use jiff::SignedDuration;
use rusqlite::Connection;

use super::values::{Runs, at, ended, engine, life, lived, owes, read, started, subject, whole};
use super::world::{Folder, World, look};

/// `bhok`, which is not part of a dump.
const APPLICATION: i64 = 0x6268_6f6b;

fn dump(version: i64) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/journal/versions/{version}.sql"))
}

fn holding() -> Holding {
    Holding::of(HoldingKind::Address, "pool/10.0.0.2", &"web")
}

/// A bit of everything.
fn fill(world: &World) {
    let runs = Runs::new();
    let [over, waiting, owing] =
        ["over", "waiting", "owing"].map(|it| runs.planned_at(it, at(1_700_000_000)));
    world.append(whole(&over));
    let call = Entry::Nested { run: over.id.clone(), at: at(1), method: "GET".into(), uri: "/info".into() };
    world.append([call]);
    world.append([Entry::Planned(waiting.clone()), started(&waiting.id, 1)]);
    world.append([ended(&waiting.id, Outcome::Signaled(9))]);
    let until = waiting.planned_at + SignedDuration::from_secs(60);
    world.append([Entry::Deferred { run: waiting.id.clone(), until }]);
    world.append([Entry::Planned(owing.clone()), Entry::Overtook { run: owing.id.clone() }]);
    world.append([started(&owing.id, 1), owes(&owing, DebtState::Owed)]);
    world.append([lived("web", Some("web")), read(7, u64::MAX), read(8, 2)]);
    world.append([Entry::Held(holding())]);
}

/// Looks at a store that was filled by a boathook of that version.
fn check(dir: &std::path::Path, version: i64) {
    let world = World::open(dir);
    let found = &world.remembered;
    assert_eq!(found.lives.len(), 1);
    assert_eq!(found.lives[0].0, subject("web"));
    assert_eq!(format!("{:?}", found.lives[0].1), format!("{:?}", life("web")));
    let states: Vec<_> = found.runs.iter().map(|it| (it.state, it.last.clone())).collect();
    let waiting = (RunState::Waiting { attempts: 1 }, Some(Outcome::Signaled(9)));
    assert_eq!(states, [waiting, (RunState::Running { attempt: 1 }, None)]);
    assert_eq!(found.holdings, if version < 2 { vec![] } else { vec![holding()] });
    assert_eq!(found.debts.len(), 1);
    assert_eq!((found.debts[0].state.clone(), &found.debts[0].id), (DebtState::Owed, &found.runs[1].run.id));
    assert_eq!(world.journal.cursor(&engine()), Some(at(8)));
    assert_eq!(world.journal.marks(&engine()), [u64::MAX, 2]);
    world.close();
    let reader = Reader::open(dir).expect("a store");
    let runs = reader.runs(&RunFilter::default()).expect("runs");
    assert_eq!(runs[0].state, RunState::Concluded(Conclusion::Done));
    assert_eq!(
        (runs[0].attempts[0].output.stderr.text.as_str(), &*runs[0].nested),
        ("err", &["GET /info".to_owned()][..])
    );
    assert!(runs[2].overtook);
    assert!(Arc::strong_count(&runs[0].run.hook) >= 3, "one hook, read once");
    assert_eq!(reader.debts(&DebtFilter::default()).expect("debts").len(), 1);
    assert_eq!(look::<String>(dir, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_store_of_every_version_is_brought_up_to_date_and_read() {
    let folder = Folder::new();
    let world = World::open(&folder.store());
    fill(&world);
    world.close();
    let present: i64 = look(&folder.store(), "PRAGMA user_version");
    check(&folder.store(), present);
    if std::env::var_os("BLESS").is_some() {
        let told = Command::new("sqlite3").arg(folder.store().join("journal.db")).arg(".dump").output();
        fs::write(dump(present), told.expect("`sqlite3` is installed").stdout).expect("it can be written");
    }

    for version in 1..=present {
        let (folder, dump) =
            (Folder::new(), fs::read_to_string(dump(version)).expect("a dump of each version"));
        fs::create_dir(folder.store()).expect("the folder is new");
        let connection = Connection::open(folder.store().join("journal.db")).expect("a database");
        connection.execute_batch(&dump).expect("a dump that can be read");
        connection.pragma_update(None, "application_id", APPLICATION).expect("it can be written");
        connection.pragma_update(None, "user_version", version).expect("it can be written");
        drop(connection);

        check(&folder.store(), version);
    }
}
