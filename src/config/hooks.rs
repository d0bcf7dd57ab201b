//! The `hooks` of one file, and how those of several files come together.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::hook::{Declared, HookDraft, Setting};
use super::node::Value;
use super::program::Find;
use super::report::{Place, Report, Wrong, quoted};
use super::table::Field;
use super::ties::{Tied, Ties};
use crate::hook::{Deadline, Hook, HookName};

/// What the file says about all hooks, those of its drop-ins included. A value that could not be
/// read is `None`, and nothing is said about what depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Basis {
    /// The name of the host that it is for.
    pub(super) host: String,
    /// How long a hook may take that does not say.
    pub(super) inherited: Option<Deadline>,
    /// The longest that a gate may take.
    pub(super) gate_deadline: Option<Duration>,
    /// What is wrong with `inherited` for a hook at a gate.
    pub(super) fits_gates: Option<(Place, Wrong)>,
}

impl Basis {
    /// The setting of hooks in a file of `directory`.
    pub(super) fn setting<'a>(&'a self, directory: &'a Path, find: Find<'a>) -> Setting<'a> {
        let Basis { host, inherited, gate_deadline, fits_gates } = self;
        let (inherited, gate_deadline, fits_gates) = (*inherited, *gate_deadline, fits_gates.clone());
        Setting { directory, find, host, inherited, gate_deadline, fits_gates }
    }
}

/// The hooks that `field` declares, or `None` once everything wrong with them is in `report`. What they
/// have to do with others is added to `ties`.
pub(super) fn read(
    field: Option<&Field>,
    setting: &Setting<'_>,
    ties: &mut Ties,
    report: &mut Report,
) -> Option<Vec<Hook>> {
    let Some(field) = field else {
        ties.add(Vec::new());
        return Some(Vec::new());
    };
    let Value::List(items) = &field.value.value else {
        let wrong = Wrong::new("type", format!("`hooks` wants a list, this is {}", field.value.kind()));
        report.push(field.value.span.clone(), wrong.help("begin each hook with `- name: …`"));
        return None;
    };
    let drafts: Vec<Option<HookDraft>> = items.iter().map(|it| HookDraft::read(it, report)).collect();
    report_shared_names(&drafts, report);
    // All of them before any is required, so that one `check` shows every mistake.
    let declared: Vec<Option<Declared>> =
        drafts.iter().map(|draft| Some(draft.as_ref()?.resolve(setting, report))).collect();
    let declared: Vec<Declared> = declared.into_iter().collect::<Option<_>>()?;
    let (hooks, tied): (Vec<Option<Hook>>, Vec<Tied>) =
        declared.into_iter().map(|it| (it.hook, it.tied)).unzip();
    ties.add(tied);
    hooks.into_iter().collect()
}

/// Notes each hook whose name another one above it in the same file has.
fn report_shared_names(drafts: &[Option<HookDraft>], report: &mut Report) {
    let mut first: HashMap<&str, &Field> = HashMap::new();
    for field in drafts.iter().flatten().filter_map(|it| it.name.as_ref()) {
        let Some(name) = field.value.text().filter(|it| HookName::parse(it).is_some()) else { continue };
        if let Some(before) = first.get(name) {
            let place = report.place_of(&before.value.span, &field.value.span);
            let message = format!("another hook is called {}, {place}", quoted(name));
            report.push(
                field.value.span.clone(),
                Wrong::new("twice", message).help("give each hook a name of its own"),
            );
        } else {
            first.insert(name, field);
        }
    }
}

/// Where a hook was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file that holds it.
    pub file: PathBuf,
    /// Files read earlier that hold a hook of the same name, which this one replaces.
    pub replaces: Vec<PathBuf>,
}

/// The hooks of several files: a later one takes the place of an earlier one of the same name.
#[derive(Debug, Default)]
pub(super) struct Together {
    pub(super) hooks: Vec<Arc<Hook>>,
    pub(super) origins: BTreeMap<HookName, Origin>,
}

impl Together {
    /// Adds the hooks of `file`, which is read after those that were added before.
    pub(super) fn add(&mut self, file: &Path, hooks: Vec<Hook>) {
        for hook in hooks {
            let mut origin = Origin { file: file.to_owned(), replaces: Vec::new() };
            if let Some(earlier) = self.origins.remove(&hook.name) {
                origin.replaces = earlier.replaces;
                origin.replaces.push(earlier.file);
            }
            self.origins.insert(hook.name.clone(), origin);
            match self.hooks.iter_mut().find(|it| it.name == hook.name) {
                Some(place) => *place = Arc::new(hook),
                None => self.hooks.push(Arc::new(hook)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::file;
    use super::super::written::{Piece, Written};
    use super::Report;
    use crate::hook::Action;

    #[test]
    fn a_later_hook_takes_the_place_of_an_earlier_one_and_others_follow() {
        let piece = |path: &str, hooks: &[&str]| {
            let hook = |name: &&str| format!("  - {{name: {name}, at: pre_create, deny: {path}}}\n");
            Piece::new(
                path.into(),
                format!("version: 1\nhooks:\n{}", hooks.iter().map(hook).collect::<String>()),
            )
        };
        let drop_ins = vec![piece("d/1.yaml", &["c", "a"]), piece("d/2.yaml", &["a"])];
        let written = Written::of(piece("c.yaml", &["a", "b"]), drop_ins);
        let mut report = Report::new(Path::new("c.yaml"), "");

        let config = file::resolve(&written, &|it, _| Ok(it.into()), &mut report).expect("it is sound");

        let told = config.hooks.iter().map(|it| match &it.action {
            Action::Deny { message } => format!("{} {message}", it.name),
            Action::Exec(_) | Action::Inside(_) | Action::Http(_) => unreachable!("all of them deny"),
        });
        assert_eq!(told.collect::<Vec<_>>(), ["a d/2.yaml", "b c.yaml", "c d/1.yaml"]);
        let origin = &config.origins[&config.hooks[0].name];
        assert_eq!(origin.file, Path::new("d/2.yaml"));
        assert_eq!(origin.replaces, ["c.yaml", "d/1.yaml"].map(PathBuf::from));
    }
}
