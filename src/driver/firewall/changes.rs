//! From the rules that are there to the rules that should be: the text for `iptables-restore`.
//!
//! Pure. Nothing is written where all is well, and of what is not ours nothing is touched but the place
//! of our own jumps.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::rules::{DOCKER, DOCKER_USER, Jump, PREFIX, Place, Rules, Table};
use super::saved::Saved;

/// What becomes of packets that no rule of `FORWARD` says anything about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// What becomes of them now.
    AsBefore,
    /// They are dropped: as before, when the host did not forward at all.
    Dropped,
}

/// What `iptables-restore --noflush` has to be given. `None`: nothing has to change.
pub(super) fn changes(rules: &Rules, saved: &Saved, unsaid: Unsaid) -> Option<String> {
    let mut text = String::new();
    for table in Table::ALL {
        let head = heads(table, rules, saved, unsaid);
        let body =
            [removed_jumps(table, rules, saved), filled(table, rules, saved), placed(table, rules, saved)];
        let tail = removed_chains(table, rules, saved);
        let lines: Vec<_> = head.into_iter().chain(body.into_iter().flatten()).chain(tail).collect();
        if !lines.is_empty() {
            writeln!(text, "*{}\n{}\nCOMMIT", table.name(), lines.join("\n")).expect("text grows");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A chain that is named at the top of a table is made, and emptied if it is there.
fn heads(table: Table, rules: &Rules, saved: &Saved, unsaid: Unsaid) -> Vec<String> {
    let policy =
        (table == Table::Filter && unsaid == Unsaid::Dropped).then(|| ":FORWARD DROP [0:0]".to_owned());
    let ours = differing(table, rules, saved).map(|(name, _)| name);
    let missing =
        (needs_user_chain(table, rules) && saved.rules(table, DOCKER_USER).is_none()).then_some(DOCKER_USER);
    policy.into_iter().chain(ours.chain(missing).map(|it| format!(":{it} - [0:0]"))).collect()
}

fn filled(table: Table, rules: &Rules, saved: &Saved) -> Vec<String> {
    let differing = differing(table, rules, saved);
    differing.flat_map(|(name, rules)| rules.iter().map(move |it| format!("-A {name} {it}"))).collect()
}

/// The chains of ours that are not there, or not as they should be.
fn differing<'a>(
    table: Table,
    rules: &'a Rules,
    saved: &Saved,
) -> impl Iterator<Item = (&'static str, &'a Vec<String>)> {
    let of_table = rules.chains.iter().filter(move |((it, _), _)| *it == table);
    let named = of_table.map(|((_, name), rules)| (*name, rules));
    named.filter(move |(name, rules)| saved.rules(table, name) != Some(rules.as_slice()))
}

/// Takes away the jumps to us that are where none should be, once too often, or in the wrong place.
fn removed_jumps(table: Table, rules: &Rules, saved: &Saved) -> Vec<String> {
    let foreign = saved.chains(table).filter(|(name, _)| !name.starts_with(PREFIX));
    let wrong = foreign.filter(|(name, present)| !is_right(jump_from(table, name, rules), present));
    let ours = wrong.flat_map(|(name, present)| {
        present.iter().filter(|it| leads_to_us(it)).map(move |it| format!("-D {name} {it}"))
    });
    let left_over = is_user_chain_left_over(table, rules, saved);
    let to_user =
        saved.rules(table, "FORWARD").unwrap_or_default().iter().filter(|it| left_over && leads_to_user(it));
    ours.chain(to_user.map(|it| format!("-D FORWARD {it}"))).collect()
}

/// Puts the jumps to us where they are missing now.
fn placed(table: Table, rules: &Rules, saved: &Saved) -> Vec<String> {
    let forward = saved.rules(table, "FORWARD").unwrap_or_default();
    let first = needs_user_chain(table, rules) && !forward.iter().any(|it| leads_to_user(it));
    let first = first.then(|| format!("-I FORWARD 1 -j {DOCKER_USER}"));

    let jumps = rules.jumps.iter().filter(|it| it.table == table);
    let missing = jumps.filter_map(|jump| {
        let present = saved.rules(table, jump.from).unwrap_or_default();
        (!is_right(Some(jump), present)).then(|| placed_one(jump, present))
    });
    first.into_iter().chain(missing).collect()
}

fn placed_one(jump: &Jump, present: &[String]) -> String {
    let Jump { from, rule, place, .. } = jump;
    let foreign: Vec<_> = present.iter().filter(|it| !leads_to_us(it)).collect();
    match (place, foreign.last().map(|it| it.as_str())) {
        (Place::First, _) => format!("-I {from} 1 {rule}"),
        (Place::Last, Some("-j RETURN")) => format!("-I {from} {} {rule}", foreign.len()),
        (Place::Last | Place::Anywhere, _) => format!("-A {from} {rule}"),
    }
}

/// Whether the one jump that should be in a chain is there, in its place, and no other to us.
fn is_right(jump: Option<&Jump>, present: &[String]) -> bool {
    let ours: Vec<_> = present.iter().enumerate().filter(|(_, it)| leads_to_us(it)).collect();
    match (jump, ours.as_slice()) {
        (None, []) => true,
        (Some(jump), [(nth, only)]) => **only == jump.rule && is_in_place(jump.place, *nth, present),
        _ => false,
    }
}

fn is_in_place(place: Place, nth: usize, present: &[String]) -> bool {
    let after = &present[nth + 1..];
    match place {
        Place::First => nth == 0,
        Place::Last => after.is_empty() || after == ["-j RETURN"],
        Place::Anywhere => true,
    }
}

/// Chains of ours that no rule is for any more. They are emptied first: one may jump to the other.
fn removed_chains(table: Table, rules: &Rules, saved: &Saved) -> Vec<String> {
    let ours = saved.chains(table).map(|(name, _)| name).filter(|it| it.starts_with(PREFIX));
    let left_over = ours.filter(|it| !rules.chains.keys().any(|(at, name)| *at == table && name == it));
    let user = is_user_chain_left_over(table, rules, saved).then_some(DOCKER_USER);
    let gone: BTreeSet<_> = left_over.chain(user).collect();
    let emptied = gone.iter().map(|it| format!("-F {it}"));
    emptied.chain(gone.iter().map(|it| format!("-X {it}"))).collect()
}

fn jump_from<'a>(table: Table, chain: &str, rules: &'a Rules) -> Option<&'a Jump> {
    rules.jumps.iter().find(|it| it.table == table && it.from == chain)
}

fn leads_to_us(rule: &str) -> bool {
    target(rule).is_some_and(|it| it.starts_with(PREFIX))
}

fn leads_to_user(rule: &str) -> bool {
    target(rule) == Some(DOCKER_USER)
}

/// What a rule jumps to.
fn target(rule: &str) -> Option<&str> {
    let mut words = rule.split(' ');
    words.find(|it| matches!(*it, "-j" | "-g")).and_then(|_| words.next())
}

fn needs_user_chain(table: Table, rules: &Rules) -> bool {
    rules.jumps.iter().any(|it| it.table == table && it.from == DOCKER_USER)
}

/// Whether `DOCKER-USER` is as we made it, in a table of which dockerd knows nothing, and of no use now.
fn is_user_chain_left_over(table: Table, rules: &Rules, saved: &Saved) -> bool {
    let is_ours = |rules: &[String]| !rules.is_empty() && rules.iter().all(|it| leads_to_us(it));
    let elsewhere =
        |(name, rules): (&str, &[String])| name != "FORWARD" && rules.iter().any(|it| leads_to_user(it));
    !needs_user_chain(table, rules)
        && saved.rules(table, DOCKER).is_none()
        && saved.rules(table, DOCKER_USER).is_some_and(is_ours)
        && !saved.chains(table).any(elsewhere)
}

#[cfg(test)]
mod tests;
