//! The top of the file: settings of the daemon. And the whole: its hooks, then those of the drop-ins.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Config;
use super::document;
use super::dropin;
use super::hook::HookDraft;
use super::hook::Setting;
use super::hooks::{self, Basis, Together};
use super::ipam::{self, IpamDraft};
use super::node::Node;
use super::plugin::{Plugin, PluginDraft};
use super::quantity::{self, Zero, show_duration};
use super::report::{Place, Report, Wrong, quoted};
use super::scalar;
use super::scripts::{self, ScriptDraft};
use super::shape::{Preset, Shape};
use super::table::{Field, Outline, later, table};
use super::ties::Ties;
use super::upkeep::{self, ReconcileDraft, Retention, RetentionDraft};
use super::volumes::{self, VolumesDraft};
use super::written::{Piece, Written};
use crate::hook::{Deadline, Hook, Outage};

/// How a program is found by what is written in a file of this directory.
pub(super) type FindIn<'a> = &'a dyn Fn(&str, &Path) -> Result<PathBuf, Wrong>;

/// The most runs at once: each is a process, two open files and its output.
const CONCURRENCY_MAX: i64 = 1024;

/// The version of the format.
const VERSION: i64 = 1;

/// The words of `outage`, the default first.
const OUTAGES: [(&str, Outage); 2] = [("open", Outage::Open), ("closed", Outage::Closed)];

table! {
    /// The file, as written.
    FileDraft, "the configuration" {
        /// The version of this format.
        version: Shape::Number(VERSION..=VERSION),
        /// Where the Docker Engine listens: `unix://` and an absolute path.
        docker: Shape::Matching("^unix:///") => Preset::Text(Config::DOCKER),
        /// The directory of what has to outlive a restart; an absolute path.
        state_dir: Shape::Matching("^/") => Preset::Text(Config::STATE_DIR),
        /// How docker knows boathook.
        plugin: Shape::Table(PluginDraft::keys),
        /// The answer of every gate when boathook itself cannot decide.
        outage: Shape::Words(|| OUTAGES.map(|it| it.0).into()) => Preset::Text(OUTAGES[0].0),
        /// The most that a gate may take, with all its hooks; below 110s.
        gate_deadline: Shape::Duration(Zero::Refused) => Preset::Span(Config::GATE_DEADLINE),
        /// What holds for hooks that do not say it themselves.
        defaults: Shape::Table(DefaultsDraft::keys),
        /// How many hooks run at once, gates apart.
        concurrency: Shape::Number(1..=CONCURRENCY_MAX) => Preset::Number(Config::CONCURRENCY.get() as u64),
        /// How much is kept of what has been.
        retention: Shape::Table(RetentionDraft::keys),
        /// How what is there is compared with what is known.
        reconcile: Shape::Table(ReconcileDraft::keys),
        /// Scripts that answer in a driver's place, by the names that users of docker choose them by.
        scripts: Shape::Mapping(&Shape::Table(ScriptDraft::keys)),
        /// From where networks get their addresses.
        ipam: Shape::Table(IpamDraft::keys),
        /// Where volumes are kept, and which other directories may be one.
        volumes: Shape::Table(VolumesDraft::keys),
        /// How long running hooks may go on when boathook is told to stop.
        drain: Shape::Duration(Zero::Allowed) => Preset::Span(Config::DRAIN),
        /// The hooks, in the order in which they run at a point.
        hooks: Shape::List(&Shape::Table(HookDraft::keys)),
    }
    later { "control" }
    synonyms { "hook": "hooks", "host": "docker", "socket": "docker", "name": "plugin", "script": "scripts",
        "addresses": "ipam", "volume": "volumes" }
    required { "version" }
}

table! {
    /// `defaults`, as written.
    DefaultsDraft, "`defaults`" {
        /// How long one attempt of a hook may take before it is told to end.
        timeout: Shape::Duration(Zero::Refused) => Preset::Span(Deadline::DEFAULT.limit),
        /// How long after that it is killed; 0 at once.
        kill_after: Shape::Duration(Zero::Allowed) => Preset::Span(Deadline::DEFAULT.grace),
    }
    later {}
    synonyms { "deadline": "timeout", "grace": "kill_after" }
}

/// The configuration that `written` describes, or `None` once everything wrong with it is in `report`.
///
/// `report` is about the main file; the drop-ins are opened in it one after the other.
pub(super) fn resolve(written: &Written, find: FindIn<'_>, report: &mut Report) -> Option<Config> {
    let main = written.main();
    main.tell(report);
    let draft = main.text().and_then(|it| root(it, report)).and_then(|it| FileDraft::read(&it, report));
    let basis = draft.as_ref().map(|it| it.basis(written.host(), report)).unwrap_or_default();
    let mut together = Some(Together::default());
    let mut ties = Ties::default();
    let mut add = |piece: &Piece, hooks: Option<Vec<Hook>>| match (&mut together, hooks) {
        (Some(together), Some(hooks)) => together.add(&piece.path, hooks),
        (together, _) => *together = None,
    };
    let directory = main.directory();
    let find_here = |it: &str| find(it, &directory);
    let setting = basis.setting(&directory, &find_here);
    add(main, draft.as_ref().and_then(|it| hooks::read(it.hooks.as_ref(), &setting, &mut ties, report)));
    let mut config = draft.and_then(|it| it.resolve(main, &basis, &setting, report));
    for piece in written.drop_ins() {
        report.open(&piece.path, piece.shown());
        piece.tell(report);
        let directory = piece.directory();
        let find_here = |it: &str| find(it, &directory);
        let setting = basis.setting(&directory, &find_here);
        let added = piece.text().and_then(|it| dropin::resolve(it, &main.path, &setting, &mut ties, report));
        let (hooks, scripts) = added.map(|it| (it.hooks, it.scripts)).unzip();
        add(piece, hooks);
        if let (Some(config), Some(scripts)) = (&mut config, scripts) {
            config.scripts.extend(scripts);
        }
    }
    let tied = ties.check(1 + written.drop_ins().len(), report);
    let Together { hooks, origins } = tied.and(together)?;
    let passed_over = written.passed_over().to_owned();
    Some(Config { hooks, origins, passed_over, ..config? })
}

/// The top of the file in `text`, if it is one that this boathook can read.
pub(super) fn root(text: &str, report: &mut Report) -> Option<Node> {
    let document = document::read(text, report);
    // Half a file would only give mistakes that follow from the one already told.
    let root = document.root.filter(|_| document.complete);
    if !document.complete {
        return None;
    }
    let Some(root) = root.filter(|it| !it.is_null()) else {
        let holds = if text.trim().is_empty() { "is empty" } else { "holds nothing but comments" };
        let wrong = Wrong::new("empty", format!("the file {holds}")).help("begin with `version: 1`");
        report.push(0..0, wrong);
        return None;
    };
    if let Some(wrong) = other_version(&root) {
        // Whatever else it holds, it is not for this boathook to judge.
        report.push(root.get("version").map_or(0..0, |it| it.span.clone()), wrong);
        return None;
    }
    Some(root)
}

/// The version that stands at the top of every file.
pub(super) fn version(field: Option<&Field>, outline: &Outline, report: &mut Report) -> Option<i64> {
    let Some(field) = field else {
        let wrong = Wrong::new("missing", "the version is missing");
        report.missing(outline, &["version"], wrong.help("write `version: 1` at the top"));
        return None;
    };
    report
        .parse(field, |it| scalar::integer(it, VERSION..=VERSION).map_err(|it| it.help("write `version: 1`")))
}

/// The mistake of a file that is written for another boathook.
fn other_version(root: &Node) -> Option<Wrong> {
    let version: u64 = root.get("version")?.text()?.parse().ok()?;
    (version != 1).then(|| {
        Wrong::new("version", format!("this file is of version {version}, this boathook reads version 1"))
            .help("write `version: 1`, or use the boathook that the file was written for")
    })
}

impl FileDraft {
    /// The settings of the file; its hooks are read apart, together with those of the drop-ins.
    fn resolve(
        &self,
        main: &Piece,
        basis: &Basis,
        setting: &Setting<'_>,
        report: &mut Report,
    ) -> Option<Config> {
        // All parts before any is required, so that one `check` shows every mistake.
        let version = version(self.version.as_ref(), &self.outline, report);
        let docker = report.parse_or(self.docker.as_ref(), Config::DOCKER.to_owned(), docker);
        let state_dir = report.parse_or(self.state_dir.as_ref(), Config::STATE_DIR.into(), state_dir);
        let plugin = self.plugin(report);
        let outage =
            report.parse_or(self.outage.as_ref(), Outage::default(), |it| scalar::one_of(it, &OUTAGES));
        let concurrency = report.parse_or(self.concurrency.as_ref(), Config::CONCURRENCY, concurrency);
        let retention = upkeep::retention(self.retention.as_ref(), report);
        let reconcile_every = upkeep::reconcile(self.reconcile.as_ref(), report);
        let scripts = scripts::resolve(self.scripts.as_ref(), setting, report);
        let ipam = ipam::resolve(self.ipam.as_ref(), report);
        let volumes = volumes::resolve(self.volumes.as_ref(), state_dir.as_deref(), report);
        let drain =
            report.parse_or(self.drain.as_ref(), Config::DRAIN, |it| quantity::duration(it, Zero::Allowed));
        version.and(self.outline.sound())?;
        let (Plugin { name: plugin, kinds }, scripts, ipam) = (plugin?, scripts?, ipam?);
        let Retention { runs: retention_runs, output_bytes_max } = retention?;
        Some(Config {
            path: main.absolute(),
            named: main.path.clone(),
            docker: docker?,
            state_dir: state_dir?,
            plugin,
            kinds,
            scripts,
            ipam,
            volumes: volumes?,
            outage: outage?,
            gate_deadline: basis.gate_deadline?,
            concurrency: concurrency?,
            output_bytes_max,
            retention_runs,
            reconcile_every: reconcile_every?,
            drain: drain?,
            hooks: Vec::new(),
            origins: BTreeMap::new(),
            passed_over: Vec::new(),
        })
    }

    fn plugin(&self, report: &mut Report) -> Option<Plugin> {
        let Some(field) = &self.plugin else { return Some(Plugin::default()) };
        PluginDraft::read(&field.value, report)?.resolve(report)
    }

    /// What the file says about all hooks.
    fn basis(&self, host: &str, report: &mut Report) -> Basis {
        let gate_deadline =
            report.parse_or(self.gate_deadline.as_ref(), Config::GATE_DEADLINE, gate_deadline);
        let (inherited, fits_gates) = self.defaults(gate_deadline, report);
        Basis { host: host.to_owned(), inherited, gate_deadline, fits_gates }
    }

    /// What a hook may take that does not say, and if that is more than a gate may take, the
    /// mistake that this is for the first hook at a gate.
    fn defaults(
        &self,
        gate_deadline: Option<Duration>,
        report: &mut Report,
    ) -> (Option<Deadline>, Option<(Place, Wrong)>) {
        let draft = self.defaults.as_ref().map(|it| DefaultsDraft::read(&it.value, report));
        let Some(draft) = draft.unwrap_or_else(|| Some(DefaultsDraft::absent())) else { return (None, None) };
        let limit = report.parse_or(draft.timeout.as_ref(), Deadline::DEFAULT.limit, |it| {
            quantity::duration(it, Zero::Refused)
        });
        let grace = report.parse_or(draft.kill_after.as_ref(), Deadline::DEFAULT.grace, |it| {
            quantity::duration(it, Zero::Allowed)
        });
        let (Some(limit), Some(grace), Some(())) = (limit, grace, draft.outline.sound()) else {
            return (None, None);
        };
        let blamed = draft.timeout.as_ref().or(self.gate_deadline.as_ref());
        let mistake = gate_deadline.filter(|gate| limit > *gate).and_then(|gate| {
            let place = report.place(blamed?.value.span.clone());
            Some((place, too_long_by_default(limit, gate)))
        });
        (Some(Deadline { limit, grace }), mistake)
    }
}

impl DefaultsDraft {
    /// The table of a file that has none.
    fn absent() -> DefaultsDraft {
        DefaultsDraft { outline: Outline::new(0..0), timeout: None, kill_after: None }
    }
}

fn too_long_by_default(limit: Duration, gate: Duration) -> Wrong {
    let (limit, gate) = (show_duration(limit), show_duration(gate));
    let message = format!("hooks at gates take up to {limit} by default, but `gate_deadline` allows {gate}");
    Wrong::new("gate-deadline", message)
        .help(format!("write `defaults: {{timeout: {gate}}}`, or raise `gate_deadline`"))
}

/// Whether `text` is an address that `docker` may have.
pub(super) fn is_docker(text: &str) -> bool {
    text.strip_prefix("unix://").is_some_and(|it| it.starts_with('/'))
}

fn docker(node: &Node) -> Result<String, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.split_once("://") {
        Some(("unix", _)) if is_docker(text) => Ok(text.to_owned()),
        Some(("unix", path)) => {
            Err(Wrong::new("path", format!("wants an absolute path, this is {}", quoted(path)))
                .help(format!("write `unix:///{path}`")))
        }
        Some((scheme @ ("tcp" | "http" | "https"), _)) => {
            Err(later(&format!("{scheme}://")).help(format!("write `{}`", Config::DOCKER)))
        }
        None if text.starts_with('/') => {
            Err(Wrong::new("docker", "is a path without its scheme").help(format!("write `unix://{text}`")))
        }
        _ => Err(Wrong::new("docker", format!("cannot be {}", quoted(text)))
            .help(format!("write `{}`", Config::DOCKER))),
    }
}

fn state_dir(node: &Node) -> Result<PathBuf, Wrong> {
    match scalar::nonempty(node)? {
        text if text.starts_with('/') => Ok(text.into()),
        text => Err(Wrong::new("path", format!("wants an absolute path, this is {}", quoted(text)))
            .help(format!("write a path from the root: `{}`", Config::STATE_DIR))),
    }
}

fn gate_deadline(node: &Node) -> Result<Duration, Wrong> {
    let span = quantity::duration(node, Zero::Refused)?;
    if span < Config::GATE_DEADLINE_END {
        return Ok(span);
    }
    let message = format!("is {}, longer than docker can be kept waiting", show_duration(span));
    Err(Wrong::new("range", message).help("write less than `110s`"))
}

fn concurrency(node: &Node) -> Result<NonZeroUsize, Wrong> {
    let number = scalar::integer(node, 1..=CONCURRENCY_MAX)?;
    Ok(usize::try_from(number).ok().and_then(NonZeroUsize::new).expect("the range begins at one"))
}
