//! What hooks write down of themselves, and what has to be true of it.
//!
//! Each process of a hook adds a line when it begins and one when it ends, and keeps the document that it
//! was given. A line is one `write`, so lines stand in the order in which things happened, whoever was
//! killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;

use serde_json::Value;

use crate::engine::Sandbox;

/// Writes itself down; its state is the id of its run. Where there is a file `fail-HOOK-PHASE-ATTEMPT` it
/// fails, and where there is a file `wait-HOOK-PHASE` it waits until that is gone.
const SCRIPT: &str = r#"#!/bin/sh -eu
cd @DIR@/books
me="$HOOK_NAME $HOOK_PHASE $HOOK_POINT $HOOK_RUN_ID $HOOK_ATTEMPT ${CONTAINER_ID:-${CONTAINER_NAME:--}} $HOOK_CAUSE"
document="$HOOK_RUN_ID.$HOOK_ATTEMPT"
cat > "$document.new"
mv "$document.new" "$document"
echo "begin $me" >> lines
trap 'echo "end:143 $me" >> lines; exit 143' TERM
while [ -e "wait-$HOOK_NAME-$HOOK_PHASE" ]; do sleep 0.02; done
status=0
[ ! -e "fail-$HOOK_NAME-$HOOK_PHASE-$HOOK_ATTEMPT" ] || status=1
echo "end:$status $me" >> lines
echo "{\"state\": \"$HOOK_RUN_ID\"}"
exit $status
"#;

/// Puts the script `book` into the sandbox, and empty books.
pub(super) fn furnish(sandbox: &Sandbox) {
    sandbox.write_program("book", &SCRIPT.replace("@DIR@", &sandbox.dir().display().to_string()));
    clear(sandbox);
}

/// Begins with empty books.
pub(super) fn clear(sandbox: &Sandbox) {
    let dir = sandbox.dir().join("books");
    if dir.exists() {
        fs::remove_dir_all(&dir).expect("remove the books");
    }
    sandbox.write("books/lines", "");
}

/// One process of a hook.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) hook: String,
    /// `setup` or `cleanup`.
    pub(super) phase: String,
    pub(super) point: String,
    pub(super) run: String,
    pub(super) attempt: u32,
    /// The id of its container, or the name of one that has none yet.
    pub(super) container: String,
    pub(super) cause: String,
    /// The number of the line that it began with.
    pub(super) began: usize,
    /// The number of the line that it ended with, and its exit status.
    pub(super) ended: Option<(usize, i32)>,
    pub(super) document: Value,
}

/// What all hooks have written down, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) attempts: Vec<Attempt>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { hook, phase, point, run, attempt, container, cause, began, ended, document } = self;
        let container = container.get(..12).unwrap_or(container);
        write!(f, "{began:5} {hook} {phase} {point} {run}.{attempt} {container} {cause} {ended:?}")?;
        if phase == "cleanup" {
            for setup in document["setup"].as_array().into_iter().flatten() {
                write!(f, " [{} {} {}]", setup["run"], setup["outcome"], setup["state"])?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attempts.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl Attempt {
    fn is_cleanup(&self) -> bool {
        self.phase == "cleanup"
    }

    fn has_worked(&self) -> bool {
        matches!(self.ended, Some((_, 0)))
    }

    /// The set-ups that it was told of.
    pub(super) fn told(&self) -> Vec<&str> {
        let setups = self.document["setup"].as_array().into_iter().flatten();
        setups.filter_map(|it| it["run"].as_str()).collect()
    }
}

impl Books {
    /// The books as they are now.
    pub(super) fn read(sandbox: &Sandbox) -> Books {
        let dir = sandbox.dir().join("books");
        let text = fs::read_to_string(dir.join("lines")).expect("there are books");
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut open: BTreeMap<(String, u32), usize> = BTreeMap::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let Some(line) = line.strip_suffix('\n') else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            let [what, hook, phase, point, run, attempt, container, cause] = words[..] else {
                panic!("a line of the books is broken: {line}")
            };
            let attempt: u32 = attempt.parse().expect("the number of an attempt");
            if let Some(status) = what.strip_prefix("end:") {
                let index = open.remove(&(run.to_owned(), attempt)).expect("what ends has begun");
                attempts[index].ended = Some((number, status.parse().expect("a status")));
                continue;
            }
            let document = fs::read_to_string(dir.join(format!("{run}.{attempt}"))).expect("a document");
            open.insert((run.to_owned(), attempt), attempts.len());
            attempts.push(Attempt {
                hook: hook.into(),
                phase: phase.into(),
                point: point.into(),
                run: run.into(),
                attempt,
                container: container.into(),
                cause: cause.into(),
                began: number,
                ended: None,
                document: serde_json::from_str(&document).expect("a document is JSON"),
            });
        }
        Books { attempts }
    }

    /// The runs, each once, of a phase of a hook at a point.
    pub(super) fn runs(&self, hook: &str, phase: &str, point: &str) -> BTreeSet<&str> {
        let of_it =
            self.attempts.iter().filter(|it| it.hook == hook && it.phase == phase && it.point == point);
        of_it.map(|it| it.run.as_str()).collect()
    }

    /// The containers for which a hook has worked at a point.
    pub(super) fn served(&self, hook: &str, phase: &str, point: &str) -> BTreeSet<&str> {
        let of_it =
            self.attempts.iter().filter(|it| it.hook == hook && it.phase == phase && it.point == point);
        of_it.filter(|it| it.has_worked()).map(|it| it.container.as_str()).collect()
    }

    /// Whether all set-ups have been cleaned up after.
    pub(super) fn is_even(&self) -> bool {
        let paid = self.paid();
        self.owing().all(|it| paid.contains(it.run.as_str()))
    }

    /// The processes that set up what has to be cleaned up: those of hooks that clean up at all.
    fn owing(&self) -> impl Iterator<Item = &Attempt> {
        let pairs: BTreeSet<&str> = self
            .attempts
            .iter()
            .filter(|it| it.hook.starts_with("pair"))
            .map(|it| it.hook.as_str())
            .collect();
        self.attempts.iter().filter(move |it| !it.is_cleanup() && pairs.contains(it.hook.as_str()))
    }

    fn paid(&self) -> BTreeSet<&str> {
        let paying = self.attempts.iter().filter(|it| it.is_cleanup() && it.has_worked());
        paying.flat_map(Attempt::told).collect()
    }

    /// How many processes there were, for each thing that was due, that a life without a crash does not
    /// have: repetitions of what has not failed, and second runs for what one run is due. Gates apart, which
    /// docker asks again.
    fn repetitions(&self) -> impl Iterator<Item = (usize, &Attempt)> {
        let mut worked: BTreeMap<[String; 5], (usize, &Attempt)> = BTreeMap::new();
        let failed = |it: &Attempt| matches!(it.ended, Some((_, status)) if status != 0);
        for it in self.attempts.iter().filter(|it| !failed(it) && !it.hook.ends_with("gate")) {
            let passage = it.document["passage"].to_string();
            let due = [&it.hook, &it.phase, &it.point, &it.container, &passage].map(Clone::clone);
            worked.entry(due).or_insert((0, it)).0 += 1;
        }
        worked.into_values().map(|(count, it)| (count - 1, it)).filter(|(count, _)| *count > 0)
    }

    /// How much ran twice in all.
    pub(super) fn duplicates(&self) -> usize {
        self.repetitions().map(|(count, _)| count).sum()
    }

    /// Looks whether anything was repeated more often than boathook was killed.
    ///
    /// # Panics
    ///
    /// With what was, and the books.
    #[track_caller]
    pub(super) fn audit_repetitions(&self, kills: usize) {
        let too_often: Vec<String> = self
            .repetitions()
            .filter(|(count, _)| *count > kills)
            .map(|(count, it)| format!("repeated {count} times with {kills} kills: {it}"))
            .collect();
        assert!(too_often.is_empty(), "{too_often:#?}\n{self}");
    }

    /// Looks whether the books can be true of a host on which what is promised holds.
    ///
    /// # Panics
    ///
    /// With everything that is wrong, and the books.
    #[track_caller]
    pub(super) fn audit(&self, after: &str) {
        let mistakes: Vec<String> =
            [self.unpaid(), self.overlapping(), self.too_late(), self.misinformed(), self.misordered()]
                .concat();
        assert!(mistakes.is_empty(), "after {after}: {mistakes:#?}\n{self}");
    }

    /// As [`Books::audit`], where what runs still is not cleaned up.
    #[track_caller]
    pub(super) fn audit_order(&self, after: &str) {
        let mistakes = self.out_of_order();
        assert!(mistakes.is_empty(), "after {after}: {mistakes:#?}\n{self}");
    }

    /// As [`Books::audit`], where a life may have been told again from its beginning: nothing of it was recorded.
    #[track_caller]
    pub(super) fn audit_debts(&self, after: &str) {
        let mistakes = [self.unpaid(), self.overlapping(), self.too_late(), self.misinformed()].concat();
        assert!(mistakes.is_empty(), "after {after}: {mistakes:#?}\n{self}");
    }

    fn out_of_order(&self) -> Vec<String> {
        [self.overlapping(), self.too_late(), self.misinformed(), self.misordered()].concat()
    }

    fn unpaid(&self) -> Vec<String> {
        let paid = self.paid();
        let unpaid = self.owing().filter(|it| !paid.contains(it.run.as_str()));
        unpaid.map(|it| format!("nothing has cleaned up after: {it}")).collect()
    }

    /// Two processes of one run at once, or one hook's for one container.
    fn overlapping(&self) -> Vec<String> {
        let mut latest: BTreeMap<(&str, &str), &Attempt> = BTreeMap::new();
        let mut mistakes = Vec::new();
        for it in self.attempts.iter().filter(|it| it.container != "-") {
            if let Some(before) = latest.insert((&it.hook, &it.container), it)
                && before.ended.is_none_or(|(line, _)| line > it.began)
            {
                mistakes.push(format!("began before the other had ended: {it}\n    the other: {before}"));
            }
        }
        mistakes
    }

    /// Clean-ups that came after a set-up of their hook that they know nothing of.
    fn too_late(&self) -> Vec<String> {
        let mut newest: BTreeMap<(&str, &str), &Attempt> = BTreeMap::new();
        let mut mistakes = Vec::new();
        for it in &self.attempts {
            let key = (it.hook.as_str(), it.container.as_str());
            if !it.is_cleanup() {
                newest.insert(key, it);
            } else if let Some(set_up) = newest.get(&key)
                && !it.told().contains(&set_up.run.as_str())
            {
                mistakes.push(format!("an old clean-up: {it}\n    after a newer set-up: {set_up}"));
            }
        }
        mistakes
    }

    /// Clean-ups that were told another state than that which their set-up handed over.
    fn misinformed(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for it in self.attempts.iter().filter(|it| it.is_cleanup()) {
            let setups = it.document["setup"].as_array().into_iter().flatten();
            let wrong = setups.filter(|setup| match setup["outcome"].as_str() {
                Some("exited") => setup["state"] != setup["run"],
                // Nobody saw how it ended, or what it said.
                _ => !setup["state"].is_null() && setup["state"] != setup["run"],
            });
            mistakes.extend(wrong.map(|setup| format!("told {setup}: {it}")));
        }
        mistakes
    }

    /// Points of one container in an order in which no container reaches them, and clean-ups that are not
    /// in the reverse order of set-ups.
    fn misordered(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut removed: BTreeMap<&str, &Attempt> = BTreeMap::new();
        let mut set_up: BTreeMap<&str, usize> = BTreeMap::new();
        let mut last_clean_up: BTreeMap<(&str, &str, u64), (usize, &Attempt)> = BTreeMap::new();
        for (number, it) in self.attempts.iter().enumerate().filter(|(_, it)| it.container != "-") {
            match (it.phase.as_str(), it.point.as_str()) {
                ("setup", "post_remove") => drop(removed.insert(&it.container, it)),
                ("setup", _) => {
                    if let Some(removal) = removed.get(it.container.as_str())
                        && it.began > removal.began
                    {
                        mistakes
                            .push(format!("after its container's removal: {it}\n    the removal: {removal}"));
                    }
                }
                _ => {}
            }
            if !it.is_cleanup() {
                set_up.insert(&it.run, number);
                continue;
            }
            let Some(newest) = it.told().iter().filter_map(|run| set_up.get(run)).max().copied() else {
                continue;
            };
            let passage = it.document["passage"].as_u64().unwrap_or(0);
            let at = (it.container.as_str(), it.point.as_str(), passage);
            if let Some((before, other)) = last_clean_up.insert(at, (newest, it))
                && other.hook != it.hook
                && it.attempt == 1
                && other.attempt == 1
                && newest > before
            {
                mistakes.push(format!("not in the reverse order of set-ups: {it}\n    before it: {other}"));
            }
        }
        mistakes
    }
}
