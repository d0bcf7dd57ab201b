//! Thousands of lives on a played engine, while boathook is killed at random: nothing is missing, and hardly anything is done
//! twice.
//!
//! A real engine makes some containers a second; a played one makes as many as boathook follows.

mod engine;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use boathook::journal::{DebtFilter, Found, Reader, RunFilter};

use self::engine::{Engine, Step};
use crate::engine::{Boathook, BoathookOptions, Generation, Sandbox, wait_for};

/// How many lives there are, where the environment does not say: as many as CI has time for.
const LIVES: usize = 1_000;

/// How many lives there are, if it is set; `10000` is the whole.
const LIVES_VARIABLE: &str = "BOATHOOK_TEST_LIVES";

/// How often boathook is killed.
const KILLS: usize = 50;

/// How many lives may be ahead of what the hooks have done: four events each, of 256 that are remembered.
const AHEAD_MAX: usize = 40;

/// How many steps of lives there are at most while boathook is away.
const STEPS_AWAY_MAX: usize = 20;

/// How many runs may be under way at once.
const CONCURRENCY: usize = 4;

/// For boathook to catch up.
const LIMIT: Duration = Duration::from_secs(60);

const AFTER: [&str; 4] = ["post_create", "post_start", "post_stop", "post_remove"];

/// A line for each run. What a clean-up was told by its set-up stands at the end of its line.
const SCRIPT: &str = r#"#!/bin/sh
told=-
if [ $HOOK_PHASE = cleanup ]; then
    read -r document
    told=${document##*'"state":"'}
    told=${told%%'"'*}
fi
echo "$HOOK_NAME $HOOK_PHASE $HOOK_POINT $HOOK_RUN_ID $CONTAINER_ID $told" >> @DIR@/lines
echo "{\"state\":\"$HOOK_RUN_ID\"}"
"#;

/// What the hooks have done, as it is read bit by bit.
struct Lines {
    file: File,
    rest: String,
    /// By container, in order: `HOOK PHASE POINT`, the run, what it was told.
    done: BTreeMap<String, Vec<(String, String, String)>>,
    removed: BTreeSet<String>,
}

impl Lines {
    fn open(path: &Path) -> Lines {
        let file = File::open(path).expect("there are books");
        Lines { file, rest: String::new(), done: BTreeMap::new(), removed: BTreeSet::new() }
    }

    fn read(&mut self) {
        self.file.read_to_string(&mut self.rest).expect("read the books");
        let Some(end) = self.rest.rfind('\n') else { return };
        let rest = self.rest.split_off(end + 1);
        for line in std::mem::replace(&mut self.rest, rest).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [hook, phase, point, run, container, told] = words[..] else {
                panic!("a broken line: {line}")
            };
            let what = format!("{hook} {phase} {point}");
            if what == "plain setup post_remove" {
                self.removed.insert(container.to_owned());
            }
            let of_container = self.done.entry(container.to_owned()).or_default();
            of_container.push((what, run.to_owned(), told.to_owned()));
        }
    }

    /// Waits until so many containers are gone.
    fn wait_for_removals(&mut self, count: usize) {
        let mut last = Instant::now();
        loop {
            let before = self.removed.len();
            self.read();
            if self.removed.len() >= count {
                return;
            }
            if self.removed.len() > before {
                last = Instant::now();
            }
            assert!(last.elapsed() < LIMIT, "{} of {count} lives are told", self.removed.len());
            sleep(Duration::from_millis(2));
        }
    }
}

struct Play {
    // Gone before the folder of its socket.
    engine: Engine,
    boathook: Boathook,
    sandbox: Sandbox,
    config: String,
    lives: usize,
    /// How many steps have been played.
    steps: usize,
}

impl Play {
    fn start(lives: usize) -> Option<Play> {
        let sandbox = Sandbox::available_on(Generation::V20_10)?;
        let dir = sandbox.dir().display().to_string();
        sandbox.write_program("book", &SCRIPT.replace("@DIR@", &dir));
        sandbox.write("lines", "");
        let config = format!(
            "version: 1\nstate_dir: {dir}/state\nconcurrency: {CONCURRENCY}\nhooks:\n\
             \x20 - {{name: plain, at: [{}], exec: [./book]}}\n\
             \x20 - {{name: pair, at: post_start, exec: [./book], cleanup: {{exec: [./book]}}}}\n",
            AFTER.join(", ")
        );
        let engine = Engine::open(&sandbox.docker_socket());
        let boathook = sandbox.start_boathook(&config, options());
        let play = Play { sandbox, config, engine, boathook, lives, steps: 0 };
        play.boathook.wait_for_log("that it follows", |it| it["message"] == "following docker's events");
        Some(play)
    }

    /// Eight containers are there at a time, each at another place of its life.
    fn step(&mut self) {
        let number = self.steps;
        self.steps += 1;
        for (behind, step) in [(0, Step::Create), (2, Step::Start), (4, Step::Die), (7, Step::Destroy)] {
            if let Some(number) = number.checked_sub(behind).filter(|it| *it < self.lives) {
                self.engine.play(number, step);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.steps >= self.lives + 8
    }

    fn kill(&mut self, lines: &mut Lines) {
        self.boathook.kill9();
        for _ in 0..fastrand::usize(..STEPS_AWAY_MAX) {
            if !self.is_over() && self.steps < lines.removed.len() + AHEAD_MAX {
                self.step();
            }
        }
        self.boathook = self.sandbox.start_boathook(&self.config, options());
    }

    fn is_at_rest(&self) -> bool {
        let reader = Reader::open(&self.sandbox.dir().join("state")).expect("there is a store");
        let runs = reader.runs(&RunFilter { found: Found::Open, ..RunFilter::default() });
        let debts = reader.debts(&DebtFilter::default());
        runs.expect("runs").is_empty() && debts.expect("debts").is_empty()
    }
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}

#[test]
fn nothing_is_missing_of_a_thousand_lives_when_boathook_is_killed_fifty_times() {
    let lives = env::var(LIVES_VARIABLE).map_or(LIVES, |it| it.parse().expect("a number of lives"));
    let Some(mut play) = Play::start(lives) else { return };
    let mut lines = Lines::open(&play.sandbox.dir().join("lines"));
    let mut kills: Vec<usize> = (0..KILLS).map(|_| fastrand::usize(2 * AHEAD_MAX..lives)).collect();
    kills.sort_unstable_by(|one, other| other.cmp(one));
    let began = Instant::now();

    while !play.is_over() {
        play.step();
        lines.wait_for_removals(play.steps.saturating_sub(AHEAD_MAX).min(lives));
        while kills.pop_if(|it| *it < play.steps).is_some() {
            // Wherever in the work that there is.
            sleep(Duration::from_millis(fastrand::u64(..40)));
            play.kill(&mut lines);
        }
    }
    lines.wait_for_removals(lives);
    wait_for("everything to come to rest", LIMIT, || play.is_at_rest().then_some(()));
    lines.read();

    let took = began.elapsed();
    let (mut duplicates, mut most) = (0, 0);
    let mistakes: Vec<String> = (0..lives).flat_map(|it| mistakes(&lines, &Engine::id(it))).collect();
    for done in lines.done.values() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        done.iter().for_each(|(what, ..)| *counts.entry(what).or_default() += 1);
        duplicates += counts.values().map(|it| it - 1).sum::<usize>();
        most = most.max(counts.values().copied().max().unwrap_or(0));
    }
    writeln!(
        io::stderr(),
        "{lives} lives, {KILLS} kills, {duplicates} duplicates, at most {most} of one, {took:?}"
    )
    .expect("write to stderr");
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(duplicates <= KILLS, "{duplicates} runs were repeated by {KILLS} kills");
}

/// What is wrong with what was done for a container.
fn mistakes(lines: &Lines, container: &str) -> Vec<String> {
    let Some(done) = lines.done.get(container) else {
        return vec![format!("nothing was done for {container}")];
    };
    let mut mistakes = Vec::new();
    let has = |what: &str| done.iter().any(|(it, ..)| it == what);
    let plain = AFTER.map(|point| format!("plain setup {point}"));
    let pair = ["pair setup post_start", "pair cleanup post_stop"].map(str::to_owned);
    for what in plain.iter().chain(&pair).filter(|it| !has(it)) {
        mistakes.push(format!("no {what} for {container}: {done:?}"));
    }
    let mut set_ups = BTreeSet::new();
    for (what, run, told) in done {
        match what.as_str() {
            "pair setup post_start" => drop(set_ups.insert(run)),
            "pair cleanup post_stop" if !set_ups.contains(told) => {
                mistakes.push(format!("a clean-up was told {told} for {container}: {done:?}"));
            }
            _ => {}
        }
    }
    mistakes
}
