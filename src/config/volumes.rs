//! `volumes`: where volumes are kept, and which other directories may be one.

use std::path::{Component, Path, PathBuf};

use super::node::{Node, Value};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::Shape;
use super::table::{Field, table};

/// The directory of volumes below `state_dir`, if the file does not say another.
const BELOW_STATE_DIR: &str = "volumes";

/// Where volumes are kept, and which other directories may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volumes {
    /// Where they are kept; absolute, without dots.
    pub root: PathBuf,
    /// Below which directories a volume may lie that is not kept there; absolute, without dots. Empty:
    /// nowhere.
    pub paths: Vec<PathBuf>,
}

table! {
    /// `volumes`, as written.
    VolumesDraft, "`volumes`" {
        /// Where volumes are kept: an absolute path, by default `volumes` in `state_dir`. The directory above
        /// it must be there.
        root: Shape::Matching("^/"),
        /// Directories below which `--opt path=` may lie; absolute paths. Empty: nowhere.
        paths: Shape::List(&Shape::Matching("^/")),
    }
    later {}
    synonyms { "path": "paths", "allow": "paths", "dir": "root", "directory": "root" }
}

/// What `field` says, or `None` once everything wrong with it is in `report`. Without a sound `state_dir`
/// there is no default for the directory.
pub(super) fn resolve(
    field: Option<&Field>,
    state_dir: Option<&Path>,
    report: &mut Report,
) -> Option<Volumes> {
    let below = state_dir.map(|it| it.join(BELOW_STATE_DIR));
    let Some(field) = field else { return Some(Volumes { root: below?, paths: Vec::new() }) };
    let draft = VolumesDraft::read(&field.value, report)?;
    let root = match &draft.root {
        Some(field) => report.parse(field, directory),
        None => below,
    };
    let paths = match &draft.paths {
        Some(Field { value: Node { value: Value::List(items), .. }, .. }) if items.is_empty() => {
            Some(Vec::new())
        }
        Some(field) => report.parse_each(field, directory),
        None => Some(Vec::new()),
    };
    draft.outline.sound()?;
    Some(Volumes { root: root?, paths: paths? })
}

/// A directory as the kernel will know it: absolute, and without a detour that would lead elsewhere once
/// something on the way is a link.
fn directory(node: &Node) -> Result<PathBuf, Wrong> {
    let text = scalar::nonempty(node)?;
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(Wrong::new("path", format!("wants an absolute path, this is {}", quoted(text)))
            .help("write a path from the root: `/srv/volumes`"));
    }
    if text.split('/').any(|it| matches!(it, "." | "..")) {
        let wrong = Wrong::new("path", format!("is {}, which holds `.` or `..`", quoted(text)));
        return Err(wrong.help("write the path that is meant, without them"));
    }
    let plain: PathBuf = path.components().collect();
    match plain.components().next_back() {
        Some(Component::Normal(_)) => Ok(plain),
        _ => Err(Wrong::new("path", "is `/`, below which everything lies")
            .help("name a directory that holds nothing but what volumes may be")),
    }
}
