//! A drop-in: a file that adds hooks and scripts, or replaces some.
//!
//! It says its version like any other file: whoever wrote it, a package say, wrote it for a certain
//! boathook and not for the file that it lies beside. Everything else is for that file to say.

use std::path::Path;

use super::file::{self, FileDraft};
use super::hook::Setting;
use super::hooks;
use super::node::{Node, Value};
use super::report::{Report, Wrong};
use super::scripts::{self, Declared};
use super::table::{later, table};
use super::ties::Ties;
use crate::hook::Hook;

table! {
    /// A drop-in, as written.
    DropInDraft, "a drop-in" { version, scripts, hooks }
    later {}
    synonyms { "hook": "hooks", "script": "scripts" }
}

/// What a drop-in adds.
pub(super) struct Addition {
    pub(super) hooks: Vec<Hook>,
    pub(super) scripts: Declared,
}

/// What `text` declares, or `None` once everything wrong with it is in `report`.
/// `main` is the file that it adds to.
pub(super) fn resolve(
    text: &str,
    main: &Path,
    setting: &Setting<'_>,
    ties: &mut Ties,
    report: &mut Report,
) -> Option<Addition> {
    let mut root = file::root(text, report)?;
    let sound = take_out_settings(&mut root, main, report);
    let draft = DropInDraft::read(&root, report)?;
    let version = file::version(draft.version.as_ref(), &draft.outline, report);
    let scripts = scripts::resolve(draft.scripts.as_ref(), setting, report);
    let hooks = hooks::read(draft.hooks.as_ref(), setting, ties, report);
    version.and(draft.outline.sound()).and(sound)?;
    Some(Addition { hooks: hooks?, scripts: scripts? })
}

/// Takes the keys out of `root` that only the main file may hold; `None` if there was one.
fn take_out_settings(root: &mut Node, main: &Path, report: &mut Report) -> Option<()> {
    let Value::Map(entries) = &mut root.value else { return Some(()) };
    let ours = |key: &str| DropInDraft::KEYS.has(key);
    let settings = entries.extract_if(.., |it| FileDraft::KEYS.has(&it.key) && !ours(&it.key));
    let mut sound = Some(());
    for it in settings {
        let message = format!("`{}` cannot stand in a drop-in, which holds hooks and scripts only", it.key);
        let misplaced = || Wrong::new("misplaced", message).help(format!("write it in `{}`", main.display()));
        let comes_later = FileDraft::KEYS.later.contains(&it.key.as_str());
        report.push(it.key_span, if comes_later { later(&it.key) } else { misplaced() });
        sound = None;
    }
    sound
}
