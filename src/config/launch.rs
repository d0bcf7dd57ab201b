//! How a hook's process is set up: `user`, `working_dir`, `umask`, `rlimits`, `no_new_privileges`.

use std::path::{Path, PathBuf};

use super::hook::HookDraft;
use super::node::{Entry, Node, Value};
use super::quantity::{self, Zero};
use super::report::{Report, Wrong, quoted};
use super::table::Field;
use super::{place, scalar};
use crate::launch::{Launch, Resource, Rlimit, User, UserError};
use crate::near::{listed, nearest};

/// Less than this, in bytes, and no shell begins: it would look as if the script had died.
const MEMORY_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Fewer open files than this, and no program finds its libraries.
const NOFILE_MIN: u64 = 8;

/// The most that a limit can be, in its own unit: more is no limit, for which there is a word.
const LIMIT_MAX: u64 = 1 << 60;

/// Words of other files for what has a name here.
const SYNONYMS: [(&str, &str); 4] =
    [("memory", "as"), ("files", "nofile"), ("open_files", "nofile"), ("processes", "nproc")];

/// How the process is set up, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(draft: &HookDraft, report: &mut Report) -> Option<Launch> {
    let user = draft.user.as_ref().map_or(Some(None), |it| report.parse(it, user).map(Some));
    let umask = report.parse_or(draft.umask.as_ref(), Launch::UMASK, umask);
    let rlimits = draft.rlimits.as_ref().map_or_else(|| Some(Vec::new()), |it| rlimits(it, report));
    let default = Launch::default().no_new_privileges;
    let privileges = report.parse_or(draft.no_new_privileges.as_ref(), default, scalar::boolean);
    Some(Launch {
        user: user?,
        umask: umask?,
        rlimits: rlimits?,
        no_new_privileges: privileges?,
        ..Launch::default()
    })
}

/// As whom and where it runs in a container, by the words of that container; or `None` once everything
/// wrong with it is in `report`.
pub(super) fn in_container(
    draft: &HookDraft,
    report: &mut Report,
) -> Option<(Option<String>, Option<String>)> {
    for idle in draft.of_the_host() {
        let message =
            format!("`{}` means nothing in a container, which has its own from `docker run`", idle.key);
        report.push(idle.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
    }
    let user = draft.user.as_ref().map(|it| report.parse(it, scalar::nonempty));
    let working_dir = draft.working_dir.as_ref().map(|it| {
        report.parse(it, |node| match scalar::nonempty(node)? {
            path if path.starts_with('/') => Ok(path),
            path => {
                Err(Wrong::new("path", format!("is {}, which leads nowhere in a container", quoted(path)))
                    .help(format!("write a path from the container's root, such as `/{path}`")))
            }
        })
    });
    let owned = |it: Option<Option<&str>>| match it {
        Some(text) => text.map(|it| Some(it.to_owned())),
        None => Some(None),
    };
    let (user, working_dir) = (owned(user), owned(working_dir));
    draft.of_the_host().next().is_none().then_some((user?, working_dir?))
}

/// The directory that a program runs in, absolute: that of the file if nothing is written.
pub(super) fn working_dir(field: Option<&Field>, directory: &Path, report: &mut Report) -> Option<PathBuf> {
    report.parse_or(field, directory.to_owned(), |node| {
        let path = directory.join(scalar::nonempty(node)?);
        place::directory(&path).map(|()| path)
    })
}

/// A user that this host knows. Who it is then is asked again before each attempt.
fn user(node: &Node) -> Result<User, Wrong> {
    let text = scalar::nonempty(node)?;
    let form = "write a name or a number, and perhaps a group: `deploy`, `1000:1000`, `deploy:www-data`";
    let user = User::parse(text)
        .ok_or_else(|| Wrong::new("user", format!("cannot be {}", quoted(text))).help(form))?;
    user.resolve().map(|_| user).map_err(|error| {
        let help = match &error {
            UserError::NoUser { name } => format!("run `useradd --system {name}`, or correct the name"),
            UserError::NoGroup { name } => format!("run `groupadd --system {name}`, or correct the name"),
            UserError::NoGroupOf { uid } => format!("write its group as well: `{uid}:{uid}`"),
            UserError::LookUp { .. } => "write numbers: `1000:1000`".to_owned(),
        };
        Wrong::new("user", format!("cannot be {}: {error}", quoted(text))).help(help)
    })
}

/// Permission bits in octal digits: `022`, `0o022`.
fn umask(node: &Node) -> Result<u32, Wrong> {
    let text = scalar::nonempty(node)?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = digits.chars().all(|c| c.is_digit(8)) && (3..=4).contains(&digits.len());
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if octal && bits <= 0o777 => Ok(bits),
        _ => {
            let message = format!("is not a umask: {}", quoted(text));
            Err(Wrong::new("umask", message).help("write three octal digits, such as `022` or `077`"))
        }
    }
}

/// `rlimits`: a table by the names of `ulimit`.
fn rlimits(field: &Field, report: &mut Report) -> Option<Vec<Rlimit>> {
    let Value::Map(entries) = &field.value.value else {
        let wrong = scalar::wants("a table of `NAME: limit`", &field.value);
        report.parse(field, |_| Err::<(), _>(wrong.help("write `rlimits: {nofile: 1024}`")));
        return None;
    };
    let limits: Vec<Option<Rlimit>> = entries.iter().map(|entry| rlimit(entry, report)).collect();
    limits.into_iter().collect()
}

fn rlimit(entry: &Entry, report: &mut Report) -> Option<Rlimit> {
    let Some(resource) = Resource::named(&entry.key) else {
        report.push(entry.key_span.clone(), unknown(&entry.key));
        return None;
    };
    report.parse_node(&entry.key, &entry.value, |node| {
        let text = node.text().ok_or_else(|| scalar::wants("a limit", node).help(form(resource)))?;
        let (soft, hard) = match text.split_once(':') {
            Some((soft, hard)) => (amount(resource, soft.trim())?, amount(resource, hard.trim())?),
            None => (amount(resource, text)?, amount(resource, text)?),
        };
        if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
            let message = format!("is {}: what holds is more than it may ever be", quoted(text));
            return Err(Wrong::new("range", message).help("write the smaller one first, as in `64:128`"));
        }
        Ok(Rlimit { resource, soft, hard })
    })
}

/// A limit in the unit of its resource; `None`: none.
fn amount(resource: Resource, text: &str) -> Result<Option<u64>, Wrong> {
    let node = Node { span: 0..0, value: Value::Scalar { text: text.to_owned(), quoted: false } };
    let amount = match (text, unit_of(resource)) {
        ("unlimited", _) => return Ok(None),
        ("0", Unit::Bytes(0) | Unit::Count(0)) => 0,
        (_, Unit::Bytes(least)) => quantity::size(&node, least..=LIMIT_MAX)?,
        // The kernel counts whole seconds, and zero of them would end it at once.
        (_, Unit::Seconds) => match quantity::duration(&node, Zero::Refused)? {
            span if span.subsec_millis() == 0 => span.as_secs(),
            _ => {
                return Err(
                    Wrong::new("range", "is not a number of whole seconds").help("write `1s` or more")
                );
            }
        },
        (_, Unit::Count(least)) => {
            let (least, most) = (least.cast_signed(), LIMIT_MAX.cast_signed());
            scalar::integer(&node, least..=most).map_err(|wrong| wrong.help(form(resource)))?.cast_unsigned()
        }
    };
    Ok(Some(amount))
}

/// What a limit is counted in, and the least of it.
enum Unit {
    Bytes(u64),
    Count(u64),
    Seconds,
}

fn unit_of(resource: Resource) -> Unit {
    match resource {
        Resource::As | Resource::Data => Unit::Bytes(MEMORY_BYTES_MIN),
        Resource::Core | Resource::Fsize | Resource::Memlock => Unit::Bytes(0),
        Resource::Stack => Unit::Bytes(64 * 1024),
        Resource::Nofile => Unit::Count(NOFILE_MIN),
        Resource::Nproc => Unit::Count(0),
        Resource::Cpu => Unit::Seconds,
    }
}

fn form(resource: Resource) -> &'static str {
    match unit_of(resource) {
        Unit::Bytes(_) => "write a size such as `512MiB`, two as in `256MiB:512MiB`, or `unlimited`",
        Unit::Count(NOFILE_MIN) => "write a number from 8 on, two as in `64:128`, or `unlimited`",
        Unit::Count(_) => "write a number, two as in `64:128`, or `unlimited`",
        Unit::Seconds => "write a span of time such as `30s`, two as in `30s:40s`, or `unlimited`",
    }
}

fn unknown(key: &str) -> Wrong {
    let names = || Resource::ALL.into_iter().map(Resource::name);
    let wrong = Wrong::new("unknown-key", format!("`rlimits` has no key {}", quoted(key)));
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == key).map(|(_, meant)| *meant);
    match synonym.or_else(|| nearest(key, names())) {
        Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
        None => wrong.help(format!("write {}", listed(names(), "or"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Resource, Value, amount, umask};

    fn node(text: &str) -> Node {
        Node { span: 0..0, value: Value::Scalar { text: text.to_owned(), quoted: false } }
    }

    #[test]
    fn a_umask_is_octal() {
        for (text, bits) in [("022", 0o022), ("0o077", 0o077), ("0027", 0o027), ("000", 0), ("777", 0o777)] {
            assert_eq!(umask(&node(text)), Ok(bits), "{text}");
        }
        for text in ["22", "0", "1777", "089", "0x12", "00022", "u=rwx", "-22", "+22"] {
            assert!(umask(&node(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_has_the_unit_of_its_resource() {
        let of = |resource, text| amount(resource, text).map_err(|it| it.code);

        assert_eq!(of(Resource::As, "512MiB"), Ok(Some(512 << 20)));
        assert_eq!(of(Resource::As, "1MiB"), Err("range"));
        assert_eq!(of(Resource::Core, "0"), Ok(Some(0)));
        assert_eq!(of(Resource::Core, "1000"), Err("no-unit"));
        assert_eq!(of(Resource::Cpu, "1m"), Ok(Some(60)));
        assert_eq!(of(Resource::Cpu, "1500ms"), Err("range"));
        assert_eq!(of(Resource::Cpu, "30"), Err("no-unit"));
        assert_eq!(of(Resource::Nofile, "64"), Ok(Some(64)));
        assert_eq!(of(Resource::Nofile, "7"), Err("range"));
        assert_eq!(of(Resource::Nproc, "0"), Ok(Some(0)));
        assert_eq!(of(Resource::Nproc, "few"), Err("type"));
        for resource in Resource::ALL {
            assert_eq!(of(resource, "unlimited"), Ok(None));
            assert!(of(resource, "-1").is_err() && of(resource, "").is_err());
        }
    }
}
