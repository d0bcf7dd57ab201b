//! What hooks say about each other: the groups that they share, and who runs after whom.
//!
//! A tie may lead to a hook of another file, so ties are gathered file by file and looked at when all
//! have been read. A hook with a mistake elsewhere has ties all the same, so that one `check` shows all.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::report::{Place, Report, Wrong, quoted};
use crate::hook::{Group, HookName};
use crate::lifecycle::{Point, PointSet};
use crate::near::{listed, nearest};

/// One hook, as far as others have to do with it. What could not be read is `None`.
#[derive(Clone, Debug)]
pub(super) struct Tied {
    pub(super) name: Option<HookName>,
    pub(super) at: Option<PointSet>,
    pub(super) manner: Manner,
    /// Its group, and where that is written.
    pub(super) group: Option<(Group, Place)>,
    /// The hooks that it runs after, as written, and where.
    pub(super) after: Vec<(String, Place)>,
}

/// When a hook's turn comes, compared with others at the same point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// In the order of hooks.
    InTurn,
    /// Before those: it needs no process.
    AtOnce,
    /// In no order: when its events have come to rest.
    Debounced,
}

/// The ties of the hooks of several files.
#[derive(Debug, Default)]
pub(super) struct Ties {
    hooks: Vec<Tied>,
    /// How many lists of hooks were read from end to end.
    lists: usize,
}

impl Ties {
    /// Adds the hooks of a file that is read after those that were added before; a hook takes the place
    /// of an earlier one of its name.
    pub(super) fn add(&mut self, hooks: Vec<Tied>) {
        self.lists += 1;
        for tied in hooks {
            match self.hooks.iter_mut().find(|it| it.name.is_some() && it.name == tied.name) {
                Some(place) => *place = tied,
                None => self.hooks.push(tied),
            }
        }
    }

    /// Notes what is wrong with the ties between the hooks of `files` files; `None` if anything is.
    pub(super) fn check(&self, files: usize, report: &mut Report) -> Option<()> {
        let mut mistakes = self.unequal_groups(report);
        mistakes.extend(self.idle_orders(self.lists == files));
        mistakes.extend(self.cycles());
        let sound = mistakes.is_empty();
        mistakes.into_iter().for_each(|(place, wrong)| report.push_at(place, wrong));
        sound.then_some(())
    }

    /// Hooks that give a group another size than one above them.
    fn unequal_groups(&self, report: &Report) -> Vec<(Place, Wrong)> {
        let mut first: HashMap<&Arc<str>, (&Tied, NonZeroU32, &Place)> = HashMap::new();
        let mut mistakes = Vec::new();
        for tied in &self.hooks {
            let Some((Group { name, max }, place)) = &tied.group else { continue };
            let (other, other_max, other_place) = *first.entry(name).or_insert((tied, *max, place));
            if other_max != *max {
                let whose =
                    other.name.as_ref().map_or_else(|| "another hook".into(), |it| format!("hook `{it}`"));
                let message = format!(
                    "`max` of the group `{name}` is {max} here, and {other_max} for {whose} {}",
                    report.place_from(other_place, place)
                );
                let help =
                    format!("write `max: {other_max}`, or name another `group`; without a word it is 1");
                mistakes.push((place.clone(), Wrong::new("group", message).help(help)));
            }
        }
        mistakes
    }

    /// Words of an `after` that order nothing. Whether there is such a hook is known if `all` were read.
    fn idle_orders(&self, all: bool) -> Vec<(Place, Wrong)> {
        let names: HashMap<&str, &Tied> =
            self.hooks.iter().filter_map(|it| Some((it.name.as_ref()?.as_str(), it))).collect();
        let all = all && names.len() == self.hooks.len();
        let mut mistakes = Vec::new();
        for tied in &self.hooks {
            let mut before = HashSet::new();
            for (written, place) in &tied.after {
                let wrong = match names.get(written.as_str()) {
                    _ if !before.insert(written) => Some(twice(written)),
                    Some(other) => tied.idle_after(other, written),
                    None if all => Some(unknown(written, tied, names.keys().copied())),
                    None => None,
                };
                mistakes.extend(wrong.map(|it| (place.clone(), it)));
            }
        }
        mistakes
    }

    /// Hooks that wait for each other in a circle; of each circle its first hook is told.
    fn cycles(&self) -> Vec<(Place, Wrong)> {
        let numbers: HashMap<&str, usize> = self
            .hooks
            .iter()
            .enumerate()
            .filter_map(|(number, it)| Some((it.name.as_ref()?.as_str(), number)))
            .collect();
        let mut told = HashSet::new();
        let mut mistakes = Vec::new();
        for number in 0..self.hooks.len() {
            let Some(circle) = self.circle(number, &numbers, &told) else { continue };
            let words = circle.iter().map(|(_, written, _)| format!("`{written}`"));
            let words: Vec<String> = words.collect();
            let message = format!(
                "{} runs after {}: in a circle nobody is first",
                words[words.len() - 1],
                words.join(", which runs after ")
            );
            let wrong = Wrong::new("cycle", message).help("take one of them out of the other's `after`");
            mistakes.push((circle[0].2.clone(), wrong));
            told.extend(circle.iter().map(|(number, ..)| *number));
        }
        mistakes
    }

    /// The way from the hook `start` along `after` back to itself, if there is one of more than one step:
    /// the hooks that it leads to, with what is written and where. Not through those in `told`.
    fn circle(
        &self,
        start: usize,
        numbers: &HashMap<&str, usize>,
        told: &HashSet<usize>,
    ) -> Option<Vec<(usize, &str, &Place)>> {
        let mut seen = HashSet::from([start]);
        let mut way: Vec<(usize, &str, &Place)> = Vec::new();
        let mut open = vec![self.hooks[start].after.iter()];
        while let Some(next) = open.last_mut() {
            let Some((written, place)) = next.next() else {
                open.pop();
                way.pop();
                continue;
            };
            let Some(number) = numbers.get(written.as_str()).copied().filter(|it| !told.contains(it)) else {
                continue;
            };
            if number == start && !way.is_empty() {
                way.push((number, written, place));
                return Some(way);
            }
            if seen.insert(number) {
                way.push((number, written, place));
                open.push(self.hooks[number].after.iter());
            }
        }
        None
    }
}

impl Tied {
    /// Why it means nothing that this hook runs after `other`, which `written` names.
    fn idle_after(&self, other: &Tied, written: &str) -> Option<Wrong> {
        let no_effect = |message: String| Wrong::new("no-effect", message);
        if self.name == other.name {
            return Some(no_effect(format!("`{written}` cannot run after itself")).help("remove it"));
        }
        match (self.manner, other.manner) {
            // That it has an `after` at all is a mistake.
            (Manner::Debounced, _) => return None,
            (_, Manner::Debounced) => {
                let message = format!(
                    "`{written}` has a `debounce`: it runs when its events have come to rest, in no order"
                );
                return Some(no_effect(message).help("remove it"));
            }
            (Manner::AtOnce, Manner::InTurn) => {
                let message = format!("a `deny` is asked before any program runs, so not after `{written}`");
                return Some(Wrong::new("after", message).help("remove it, or let a program say no"));
            }
            _ => {}
        }
        let (mine, its) = (self.at?, other.at?);
        if mine.iter().any(|it| its.contains(it)) {
            return None;
        }
        let message =
            format!("`{written}` runs at no point at which this hook runs, so there is nothing to order");
        let points = listed(its.iter().map(Point::name), "and");
        Some(no_effect(message).help(format!("remove it; `{written}` runs at {points}")))
    }
}

fn twice(written: &str) -> Wrong {
    Wrong::new("twice", format!("`after` names {} twice", quoted(written))).help("name it once")
}

fn unknown<'a>(written: &str, of: &Tied, names: impl Iterator<Item = &'a str>) -> Wrong {
    let wrong =
        Wrong::new("unknown-hook", format!("`after` names {}, and there is no such hook", quoted(written)));
    let own = of.name.as_ref().map_or("", HookName::as_str);
    let mut others: Vec<&str> = names.filter(|it| *it != own).collect();
    others.sort_unstable();
    match nearest(written, others) {
        Some(name) => wrong.help(format!("did you mean `{name}`?")),
        None => wrong.help("write the name of another hook, or remove it"),
    }
}
