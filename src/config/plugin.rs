//! The `plugin` table: how docker knows boathook.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::node::Node;
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::{NAME, Preset, Shape};
use super::table::{later, table};

/// The name under which docker knows boathook, and of its socket.
///
/// One to 64 characters of `a-z A-Z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginName(Arc<str>);

impl PluginName {
    /// What holds where nothing is written.
    pub const DEFAULT: &str = "boathook";
    /// Where docker looks for the sockets of plugins.
    pub const DIRECTORY: &str = "/run/docker/plugins";
    /// The longest name: a socket's path may have 107 bytes.
    pub const CHARS_MAX: usize = 64;

    /// The name, if it keeps the rules.
    pub fn parse(name: &str) -> Option<PluginName> {
        let ok = (1..=PluginName::CHARS_MAX).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        ok.then(|| PluginName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The socket where docker expects the plugin: `/run/docker/plugins/NAME.sock`.
    pub fn socket_path(&self) -> PathBuf {
        PathBuf::from(format!("{}/{self}.sock", PluginName::DIRECTORY))
    }
}

impl Default for PluginName {
    fn default() -> PluginName {
        PluginName(PluginName::DEFAULT.into())
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

table! {
    /// `plugin`, as written.
    PluginDraft, "`plugin`" {
        /// The name that the engine's `authorization-plugins` holds, and that of the socket.
        name: Shape::Matching(NAME) => Preset::Text(PluginName::DEFAULT),
        /// What boathook is to the engine.
        kinds: Shape::OneOrMany(&Shape::Words(|| KINDS.into())),
    }
    later { "listen", "tls" }
    synonyms { "kind": "kinds", "drivers": "kinds" }
}

/// Kinds of plugin that are served.
const KINDS: [&str; 1] = ["authz"];

/// Kinds of plugin that boathook knows and this version does not serve.
const KINDS_LATER: [&str; 3] = ["network", "ipam", "volume"];

impl PluginDraft {
    /// The name, as nothing else of the table has a choice in this version.
    pub(super) fn resolve(&self, report: &mut Report) -> Option<PluginName> {
        let name = report.parse_or(self.name.as_ref(), PluginName::default(), name);
        let kinds = self.kinds.as_ref().map_or(Some(Vec::new()), |it| report.parse_each(it, kind));
        kinds.and(self.outline.sound()).and(name)
    }
}

fn name(node: &Node) -> Result<PluginName, Wrong> {
    let text = scalar::nonempty(node)?;
    PluginName::parse(text).ok_or_else(|| {
        Wrong::new("name", format!("cannot be {}", quoted(text)))
            .help("use 1 to 64 letters, digits, `.`, `_`, `-`, the first a letter or digit")
    })
}

fn kind(node: &Node) -> Result<(), Wrong> {
    match scalar::text(node)? {
        it if KINDS.contains(&it) => Ok(()),
        it if KINDS_LATER.contains(&it) => Err(later(it)),
        it => Err(scalar::unknown_word(it, KINDS.into_iter())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::PluginName;

    #[test]
    fn a_name_makes_a_socket_that_docker_finds() {
        let name = PluginName::parse("hooks-2").expect("the name keeps the rules");

        assert_eq!(name.socket_path(), Path::new("/run/docker/plugins/hooks-2.sock"));
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_directory_or_overflow_a_socket_address() {
        for name in ["", "..", "../x", "a/b", ".hidden", &"x".repeat(65)] {
            assert_eq!(PluginName::parse(name), None, "{name}");
        }
        let longest = PluginName::parse(&"x".repeat(64)).expect("64 are allowed");
        assert!(longest.socket_path().as_os_str().len() < 108);
    }
}
