//! What a hook does: `exec`, `shell`, `http` or `deny`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::hook::{HookDraft, Setting, has_gate};
use super::node::Value;
use super::program::Find;
use super::report::{Report, Wrong};
use super::table::Field;
use super::within::Place;
use super::{environment, http, launch, scalar};
use crate::hook::{Action, Command, Inside};
use crate::launch::{Launch, Network};
use crate::lifecycle::{Point, PointSet};

/// What runs the text of a `shell`.
const SHELL: &str = "/bin/sh";

/// The longest message of a `deny`, in characters: docker shows it in one line.
pub(super) const MESSAGE_CHARS_MAX: usize = 500;

/// Keys that say what a hook does.
const KEYS: [&str; 4] = ["exec", "shell", "http", "deny"];

/// A program, and its `argv`. One of a container is looked up there, when it runs.
pub(super) type Program = (PathBuf, Vec<OsString>);

/// How the processes of a hook are set up, those of its clean-up included.
#[derive(Clone)]
pub(super) struct Surroundings {
    environment: BTreeMap<String, String>,
    /// The directory of the file.
    directory: PathBuf,
    setup: Setup,
}

/// What there is to a process besides its environment.
#[derive(Clone)]
enum Setup {
    Host { working_dir: PathBuf, launch: Launch },
    Container { name: Arc<str>, user: Option<String>, working_dir: Option<String> },
}

impl Surroundings {
    /// What the hook says of them, or `None` once everything wrong with it is in `report`.
    pub(super) fn resolve(
        draft: &HookDraft,
        place: Option<&Place>,
        setting: &Setting<'_>,
        report: &mut Report,
    ) -> Option<Surroundings> {
        let directory = setting.directory;
        let environment =
            environment::resolve(draft.environment.as_ref(), draft.env_file.as_ref(), directory, report);
        let setup = match place {
            Some(Place::Container(name)) => launch::in_container(draft, report)
                .map(|(user, working_dir)| Setup::Container { name: name.clone(), user, working_dir }),
            // Without a place the mistakes of the host are those that can be told.
            Some(Place::Host | Place::Netns) | None => {
                let working_dir = launch::working_dir(draft.working_dir.as_ref(), directory, report);
                let launch = launch::resolve(draft, report);
                working_dir.zip(launch).map(|(working_dir, launch)| Setup::Host { working_dir, launch })
            }
        };
        place?;
        let surroundings =
            Surroundings { environment: environment?, directory: directory.into(), setup: setup? };
        Some(surroundings.at(place?))
    }

    /// The same at another place. What is said for one that has other programs does not hold there.
    pub(super) fn at(self, place: &Place) -> Surroundings {
        let Surroundings { environment, directory, setup } = self;
        let setup = match (setup, place) {
            (Setup::Container { name, user, working_dir }, Place::Container(other)) if name == *other => {
                Setup::Container { name, user, working_dir }
            }
            (_, Place::Container(name)) => {
                Setup::Container { name: name.clone(), user: None, working_dir: None }
            }
            (Setup::Host { working_dir, launch }, place) => {
                Setup::Host { working_dir, launch: Launch { network: network_of(place), ..launch } }
            }
            (Setup::Container { .. }, place) => {
                let launch = Launch { network: network_of(place), ..Launch::default() };
                Setup::Host { working_dir: directory.clone(), launch }
            }
        };
        Surroundings { environment, directory, setup }
    }

    /// The action that runs `program` in them.
    pub(super) fn exec(&self, (program, argv): Program) -> Action {
        let environment = self.environment.clone();
        match self.setup.clone() {
            Setup::Host { working_dir, launch } => {
                Action::Exec(Arc::new(Command { program, argv, working_dir, environment, launch }))
            }
            Setup::Container { name, user, working_dir } => Action::Inside(Arc::new(Inside {
                container: name,
                argv: argv.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
                user,
                working_dir,
                environment,
            })),
        }
    }
}

/// How programs are found there: in a container by the engine, when it runs them.
pub(super) fn finder<'a>(surroundings: Option<&Surroundings>, setting: &Setting<'a>) -> Find<'a> {
    match surroundings {
        Some(Surroundings { setup: Setup::Container { .. }, .. }) => &|it| Ok(it.into()),
        _ => setting.find,
    }
}

/// Whose network a program sees that runs there.
fn network_of(place: &Place) -> Network {
    match place {
        Place::Netns => Network::Container,
        Place::Host | Place::Container(_) => Network::Host,
    }
}

/// The action of a hook, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(
    draft: &HookDraft,
    at: Option<PointSet>,
    surroundings: Option<&Surroundings>,
    setting: &Setting<'_>,
    report: &mut Report,
) -> Option<Action> {
    let written: Vec<&Field> =
        [&draft.exec, &draft.shell, &draft.http, &draft.deny].into_iter().flatten().collect();
    for extra in written.iter().skip(1) {
        let message = format!("`{}` and `{}` in one hook: a hook does one thing", written[0].key, extra.key);
        report.push(extra.key_span.clone(), Wrong::new("actions", message).help("make two hooks of it"));
    }
    let find = finder(surroundings, setting);
    let commands: Vec<Option<Program>> = [
        draft.exec.as_ref().map(|it| exec(it, find, report)),
        draft.shell.as_ref().map(|it| shell(it, find, report)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let request = draft.http.as_ref().map(|it| http::resolve(it, draft, report));
    let message = draft.deny.as_ref().map(|it| deny(it, draft, at, report));
    match (written.as_slice(), request, message) {
        ([_], None, Some(message)) => Some(Action::Deny { message: message? }),
        ([_], Some(request), None) => Some(Action::Http(request?)),
        ([_], None, None) => {
            let program = commands.into_iter().next()??;
            Some(surroundings?.exec(program))
        }
        ([], ..) => {
            let wrong = Wrong::new("missing", "this hook does nothing");
            report.missing(
                &draft.outline,
                &KEYS,
                wrong.help("write `exec: [program, argument]`, `shell:`, `http:` or `deny:`"),
            );
            None
        }
        _ => None,
    }
}

/// The program and arguments of an `exec`.
pub(super) fn exec(field: &Field, find: Find<'_>, report: &mut Report) -> Option<Program> {
    if field.value.text().is_some() {
        report.parse(field, |node| Err::<(), _>(not_a_list(node.text().unwrap_or_default())));
        return None;
    }
    if matches!(field.value.value, Value::Map(_)) {
        report.parse(field, |_| {
            let wrong = Wrong::new("type", "wants a list of the program and its arguments, this is a table");
            Err::<(), _>(wrong.help("write `exec: [program, argument]`"))
        });
        return None;
    }
    let items = report.elements(field.key, &field.value)?;
    let program = report.parse_node(field.key, &items[0], |node| find(scalar::nonempty(node)?));
    let arguments = items[1..].iter().map(|item| report.parse_node(field.key, item, scalar::text));
    let arguments: Vec<Option<&str>> = arguments.collect();
    let mut argv = vec![OsString::from(items[0].text()?)];
    for argument in arguments {
        argv.push(argument?.into());
    }
    Some((program?, argv))
}

fn not_a_list(written: &str) -> Wrong {
    let words: Vec<&str> = written.split_whitespace().collect();
    let wrong = Wrong::new("type", "wants a list of the program and its arguments, this is text");
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c));
    if words.iter().all(plain) && !words.is_empty() {
        return wrong.help(format!("write `exec: [{}]`", words.join(", ")));
    }
    wrong.help("write `exec: [program, argument]`, or put a script under `shell: |`")
}

/// The command that runs the text of a `shell`.
pub(super) fn shell(field: &Field, find: Find<'_>, report: &mut Report) -> Option<Program> {
    let script = report.parse(field, scalar::nonempty);
    let program = report.parse(field, |_| find(SHELL));
    let argv = ["sh", "-eu", "-c", script?].map(OsString::from);
    Some((program?, argv.into()))
}

/// The message of a `deny`. Only a gate can say no, and nothing runs that could take time or fail.
fn deny(field: &Field, draft: &HookDraft, at: Option<PointSet>, report: &mut Report) -> Option<String> {
    let asked = |at: PointSet| at.iter().any(Point::is_gate);
    if at.is_some_and(|at| !has_gate(at)) {
        let message = "`deny` at a point that is no gate: what has happened cannot be denied";
        report.push(field.key_span.clone(), Wrong::new("no-gate", message).help("listen at a `pre_` point"));
    } else if let Some(point) = at.and_then(|at| at.iter().find(|it| !it.is_gate())) {
        let message = match point.may_be_gate() {
            true => format!("`deny` at `{point}`: docker asks there about boathook's own volumes only"),
            false => format!("`deny` at `{point}`: what has happened cannot be denied"),
        };
        let help = match at.is_some_and(asked) {
            true => format!("remove `{point}` from `at`"),
            false => "run a program that says no, with `exec` or `shell`".to_owned(),
        };
        report.push(field.key_span.clone(), Wrong::new("no-gate", message).help(help));
    }
    if draft.exec.is_none() && draft.shell.is_none() && draft.http.is_none() {
        for idle in draft.of_a_run() {
            let message = format!("`{}` means nothing for a `deny`: no program runs", idle.key);
            report.push(idle.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
        }
    }
    report.parse(field, |node| match scalar::nonempty(node)? {
        text if text.chars().count() > MESSAGE_CHARS_MAX => {
            Err(Wrong::new("too-large", format!("is longer than {MESSAGE_CHARS_MAX} characters"))
                .help("say in one line what is not allowed, and what is"))
        }
        text => Ok(text.trim_end().to_owned()),
    })
}
