//! `boathook check`: is the configuration right, and what does it say?

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::table::{Give, Table, clipped};
use super::words::count;
use crate::config::{self, Config, Origin, Report, show_duration};
use crate::hook::{Action, Cleanup, Hook, Method, Mode, Request};
use crate::launch::Network;
use crate::lifecycle::{Point, PointSet};

/// How much is shown of what a hook does, in characters.
const DOES_CHARS_MAX: usize = 48;

/// How much is shown of a condition, in characters. It stands last, where it pushes nothing away.
const WHEN_CHARS_MAX: usize = 200;

/// Reads the configuration in `config` and shows every mistake in it; without one, its hooks.
///
/// Ends with 0 if there is no mistake, with 1 if there is. As `json` the result is an array with
/// one object for each mistake; without one it is empty, or holds the hooks if `listing` asks for them.
pub(super) fn check(config: &Path, json: bool, listing: Listing) -> ExitCode {
    let result = config::load(config);
    // A reader that has closed the pipe has seen what it wanted; the exit code tells the rest.
    let _ = match (&result, json) {
        (Ok(config), true) if listing == Listing::Hooks => {
            writeln!(anstream::stdout(), "{:#}", to_json(config))
        }
        (Ok(_), true) => writeln!(anstream::stdout(), "[]"),
        (Ok(config), false) => write!(anstream::stdout(), "{}", Summary(config)),
        (Err(report), true) => writeln!(anstream::stdout(), "{:#}", report.to_json()),
        (Err(report), false) => {
            writeln!(anstream::stdout(), "{}\n{}", report.colored(), count_mistakes(report))
        }
    };
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is listed as JSON if there is no mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// Nothing: an empty array says that there is no mistake.
    Mistakes,
    Hooks,
}

/// The hooks for programs: an array with one object for each, in their order.
fn to_json(config: &Config) -> serde_json::Value {
    let object = |hook: &Hook| {
        let origin = &config.origins[&hook.name];
        serde_json::json!({
            "name": hook.name.as_str(),
            "at": names(hook.at),
            "cleanup": hook.cleanup.as_ref().map(|it| serde_json::json!({"at": names(it.at)})),
            "file": origin.file.display().to_string(),
            "replaces": origin.replaces.iter().map(|it| it.display().to_string()).collect::<Vec<_>>(),
        })
    };
    config.hooks.iter().map(|it| object(it)).collect()
}

fn count_mistakes(report: &Report) -> String {
    count(report.diagnostics().len(), "mistake")
}

/// The hooks as a table for people.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = &self.0.hooks;
        if !hooks.is_empty() {
            let mut heads = vec!["HOOK", "AT", "TIMEOUT", "DOES", "WHEN"];
            let (mut rows, mut origins) = (Vec::new(), Vec::new());
            for hook in hooks {
                rows.push(row(hook).to_vec());
                origins.push(from(&self.0.origins[&hook.name]));
                if let Some(cleanup) = &hook.cleanup {
                    rows.push(row_of_cleanup(cleanup).to_vec());
                    origins.push(String::new());
                }
            }
            if self.0.origins.values().any(|it| it.file != self.0.named) {
                heads.insert(1, "FROM");
                rows.iter_mut().zip(origins).for_each(|(row, cell)| row.insert(1, cell));
            }
            let mut table = Table::new(heads.into_iter().map(|head| (head, Give::Nothing)));
            rows.into_iter().for_each(|row| table.push(row.into_iter().map(Into::into)));
            f.write_str(&table.lines(None))?;
            writeln!(f)?;
        }
        for path in &self.0.passed_over {
            writeln!(f, "not read: {}", path.display())?;
        }
        writeln!(f, "{}, no mistakes", count(hooks.len(), "hook"))
    }
}

/// The file that a hook comes from, as one would say it.
fn from(origin: &Origin) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut from = name(&origin.file);
    if !origin.replaces.is_empty() {
        let replaced: Vec<String> = origin.replaces.iter().map(|it| name(it)).collect();
        from += &format!(" (replaces {})", replaced.join(", "));
    }
    from
}

fn row(hook: &Hook) -> [String; 5] {
    let timeout = match &hook.action {
        Action::Deny { .. } => "-".to_owned(),
        Action::Exec(_) | Action::Inside(_) | Action::Http(_) => show_duration(hook.deadline.limit),
    };
    let does = match hook.mode {
        Mode::Enforce => action(&hook.action),
        Mode::Audit => format!("audit: {}", action(&hook.action)),
    };
    let does = clipped(&does, DOES_CHARS_MAX);
    let when = clipped(&hook.when.to_string(), WHEN_CHARS_MAX);
    [hook.name.to_string(), names(hook.at).join(", "), timeout, does, when]
}

/// The clean-up of the hook in the row above.
fn row_of_cleanup(cleanup: &Cleanup) -> [String; 5] {
    let does = clipped(&action(&cleanup.action), DOES_CHARS_MAX);
    let (due, timeout) = (names(cleanup.at).join(", "), show_duration(cleanup.deadline.limit));
    ["  cleanup".to_owned(), due, timeout, does, "for what it has set up".to_owned()]
}

fn names(points: PointSet) -> Vec<&'static str> {
    points.iter().map(Point::name).collect()
}

/// What is done, as one would say it.
fn action(action: &Action) -> String {
    match action {
        Action::Deny { message } => format!("denies: {message}"),
        Action::Exec(command) => match command.launch.network {
            Network::Host => does(&command.argv),
            Network::Container => format!("in the container's network {}", does(&command.argv)),
        },
        Action::Inside(inside) => format!("in container {} {}", inside.container, does(&inside.argv)),
        Action::Http(request) => asks(request),
    }
}

/// A command as one would say it.
fn does(argv: &[impl AsRef<OsStr>]) -> String {
    let argv: Vec<_> = argv.iter().map(|it| it.as_ref().to_string_lossy()).collect();
    match argv.as_slice() {
        [name, flags, option, script] if name == "sh" && flags == "-eu" && option == "-c" => {
            format!("shell: {}", script.trim())
        }
        argv => format!("runs {}", argv.join(" ")),
    }
}

/// A request as one would say it. Its headers may hold secrets.
fn asks(request: &Request) -> String {
    match request.method {
        Method::Post => format!("posts to {}", request.url),
        Method::Put => format!("puts to {}", request.url),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        Action, Cleanup, Hook, Method, Origin, Point, Request, asks, does, from, row, row_of_cleanup,
    };
    use crate::hook::{Command, Deadline, HookName, Retry};
    use crate::launch::Launch;

    fn runs(argv: &[&str]) -> Command {
        Command {
            program: argv[0].into(),
            argv: argv.iter().map(Into::into).collect(),
            working_dir: "/etc/boathook".into(),
            environment: [].into(),
            launch: Launch::default(),
        }
    }

    #[test]
    fn a_hook_is_one_row() {
        let hook = Hook {
            at: [Point::PreCreate, Point::PreStart].into_iter().collect(),
            action: Action::Deny { message: "not here".to_owned() },
            ..Hook::named(HookName::parse("gate").expect("the name keeps the rules"))
        };

        assert_eq!(row(&hook), ["gate", "pre_create, pre_start", "-", "denies: not here", "always"]);
    }

    #[test]
    fn a_clean_up_is_a_row_below_its_hook() {
        let cleanup = Cleanup {
            at: [Point::PostStop, Point::Unhealthy].into_iter().collect(),
            action: Action::Exec(Arc::new(runs(&["hooks/firewall.sh", "close"]))),
            deadline: Deadline::DEFAULT,
            retry: Retry::OF_CLEANUP,
        };

        let [name, due, rest @ ..] = row_of_cleanup(&cleanup);

        assert_eq!((name.as_str(), due.as_str()), ("  cleanup", "unhealthy, post_stop"));
        assert_eq!(rest, ["30s", "runs hooks/firewall.sh close", "for what it has set up"]);
    }

    #[test]
    fn a_hook_that_replaces_another_says_so() {
        let origin = |replaces: &[&str]| Origin {
            file: "/etc/boathook/hooks.d/90-ours.yaml".into(),
            replaces: replaces.iter().map(Into::into).collect(),
        };

        assert_eq!(from(&origin(&[])), "90-ours.yaml");
        assert_eq!(
            from(&origin(&["/etc/boathook/config.yaml", "/etc/boathook/hooks.d/50-theirs.yaml"])),
            "90-ours.yaml (replaces config.yaml, 50-theirs.yaml)"
        );
    }

    #[test]
    fn a_script_is_shown_without_what_runs_it() {
        assert_eq!(does(&["hooks/open.sh", "up"]), "runs hooks/open.sh up");
        assert_eq!(does(&["sh", "-eu", "-c", "echo hi\n"]), "shell: echo hi");
    }

    #[test]
    fn a_request_is_shown_without_its_headers() {
        let request = Request {
            url: "http://127.0.0.1:9000/alert".to_owned(),
            method: Method::Post,
            headers: vec![("Authorization".to_owned(), "Bearer secret".to_owned())],
        };

        assert_eq!(asks(&request), "posts to http://127.0.0.1:9000/alert");
    }
}
