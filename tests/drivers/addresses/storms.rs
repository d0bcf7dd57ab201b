//! Many at once, and boathook killed among them.

use std::collections::BTreeSet;
use std::thread;

use super::world::{Caller, World};

/// How many ask at once.
const ASKERS: usize = 64;

/// As `ASKERS` threads do with a connection each: everything that they return.
fn all_at_once<T: Send>(world: &World, work: impl Fn(usize, &mut Caller) -> Vec<T> + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|nth| {
                let (work, mut caller) = (&work, world.caller());
                scope.spawn(move || work(nth, &mut caller))
            })
            .collect();
        askers.into_iter().flat_map(|it| it.join().expect("an asker")).collect()
    })
}

/// Asks until there is none left.
fn take_all(pool: &str, caller: &mut Caller) -> Vec<String> {
    let answers = std::iter::from_fn(|| caller.address(pool, "").expect("boathook answers").ok());
    answers.collect()
}

#[test]
fn a_pool_is_filled_and_emptied_by_sixty_four_at_once() {
    let Some(world) = World::alone("{sticky: 0s}") else { return };
    let pool = world.caller().pool("10.9.0.0/16");

    let all = all_at_once(&world, |_, caller| take_all(&pool, caller));
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (65_534, 65_534));
    all_at_once(&world, |nth, caller| {
        for address in all.iter().skip(nth).step_by(ASKERS) {
            assert!(caller.release(&pool, address));
        }
        Vec::<()>::new()
    });

    assert_eq!(world.holdings().len(), 1, "the pool alone");
}

/// What an asker knows when boathook is gone.
struct Books {
    held: Vec<String>,
    /// What it asked for and has not been told.
    unknown: Option<String>,
}

/// Takes addresses and gives some back, until boathook is gone.
fn take_and_give(pool: &str, caller: &mut Caller) -> Vec<Books> {
    let mut books = Books { held: Vec::new(), unknown: None };
    loop {
        match caller.address(pool, "") {
            Some(Ok(address)) => books.held.push(address),
            Some(Err(error)) => panic!("{error}"),
            None => {
                books.unknown = Some(String::new());
                return vec![books];
            }
        }
        if books.held.len().is_multiple_of(3) {
            let address = books.held.swap_remove(books.held.len() / 2);
            if !caller.release(pool, &address) {
                books.unknown = Some(address);
                return vec![books];
            }
        }
    }
}

#[test]
fn a_kill_in_a_burst_doubles_nothing_and_leaks_nothing() {
    let Some(mut world) = World::alone("{sticky: 0s}") else { return };
    for round in 0..3 {
        let subnet = format!("10.{round}.0.0/19");
        let pool = world.caller().pool(&subnet);
        let books = thread::scope(|scope| {
            let askers = scope.spawn(|| all_at_once(&world, |_, caller| take_and_give(&pool, caller)));
            let mut watcher = world.caller();
            // In the middle of it: the first hundred have been answered.
            while !is_past_a_hundred(&mut watcher, &pool, round) {}
            world.boathook.kill9();
            askers.join().expect("the askers")
        });
        world.kill_boathook();

        let mut caller = world.caller();
        assert_eq!(caller.pool(&subnet), pool);
        let held: Vec<&String> = books.iter().flat_map(|it| &it.held).collect();
        let different: BTreeSet<&String> = held.iter().copied().collect();
        assert_eq!(held.len(), different.len(), "an address was given twice");
        for address in &held {
            let refusal = format!("address {address} is in use");
            assert_eq!(caller.address(&pool, address), Some(Err(refusal)));
        }
        // Of what is neither held nor on its way, every address can be had.
        let unknown = books.iter().filter(|it| it.unknown.is_some()).count();
        let left = all_at_once(&world, |_, caller| take_all(&pool, caller)).len();
        let most = 8_190 - held.len();
        assert!((most - unknown..=most).contains(&left), "{left} of {most} are left, {unknown} are unknown");
    }
}

/// Whether the askers have got far; the address that is asked for is given back.
fn is_past_a_hundred(watcher: &mut Caller, pool: &str, round: usize) -> bool {
    let probe = format!("10.{round}.0.100");
    match watcher.address(pool, &probe) {
        Some(Ok(_)) => !watcher.release(pool, &probe),
        Some(Err(_)) | None => true,
    }
}
