//! The `plugin` table: how docker knows boathook.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::node::Node;
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::{NAME, Preset, Shape};
use super::table::table;

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
        /// What boathook is to the engine; all of them if nothing is written.
        kinds: Shape::OneOrMany(&Shape::Words(|| Kind::ALL.map(Kind::name).into())),
    }
    later { "listen", "tls" }
    synonyms { "kind": "kinds", "drivers": "kinds" }
}

/// What boathook may be to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is asked about every call of the API.
    Authz,
    /// It makes networks.
    Network,
    /// It gives out addresses.
    Ipam,
    /// It makes volumes.
    Volume,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Authz, Kind::Network, Kind::Ipam, Kind::Volume];

    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Authz => "authz",
            Kind::Network => "network",
            Kind::Ipam => "ipam",
            Kind::Volume => "volume",
        }
    }
}

/// What boathook is to the engine. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Everything that it can be. The engine asks once, and remembers the answer until it restarts
    /// (`pkg/plugins/plugins.go` in moby): what is left out cannot be had by a reload.
    pub const ALL: Kinds = Kinds(0b1111);

    /// These kinds; `None` if there is none.
    pub fn of(kinds: &[Kind]) -> Option<Kinds> {
        let bits = kinds.iter().fold(0, |bits, it| bits | 1 << *it as u8);
        (bits != 0).then_some(Kinds(bits))
    }

    /// Whether `kind` is one of them.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl Default for Kinds {
    fn default() -> Kinds {
        Kinds::ALL
    }
}

/// What the table says.
#[derive(Debug, Default)]
pub(super) struct Plugin {
    pub(super) name: PluginName,
    pub(super) kinds: Kinds,
}

impl PluginDraft {
    /// What the table says, or `None` once everything wrong with it is in `report`.
    pub(super) fn resolve(&self, report: &mut Report) -> Option<Plugin> {
        let name = report.parse_or(self.name.as_ref(), PluginName::default(), name);
        let kinds = match &self.kinds {
            None => Some(Kinds::ALL),
            Some(field) => report.parse_each(field, kind).and_then(|it| Kinds::of(&it)),
        };
        self.outline.sound()?;
        Some(Plugin { name: name?, kinds: kinds? })
    }
}

fn name(node: &Node) -> Result<PluginName, Wrong> {
    let text = scalar::nonempty(node)?;
    PluginName::parse(text).ok_or_else(|| {
        Wrong::new("name", format!("cannot be {}", quoted(text)))
            .help("use 1 to 64 letters, digits, `.`, `_`, `-`, the first a letter or digit")
    })
}

fn kind(node: &Node) -> Result<Kind, Wrong> {
    scalar::one_of(node, &Kind::ALL.map(|it| (it.name(), it)))
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
