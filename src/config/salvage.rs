//! What can be known of a configuration that is broken.
//!
//! The daemon serves its socket even then, and answers as `outage` says. A guess is never more
//! dangerous than none: what is read here is what stands in the file, or, where the file cannot be read
//! to its end, in the last good one, or else the default.

use std::path::{Path, PathBuf};

use super::Config;
use super::document;
use super::file;
use super::good::Good;
use super::node::{Node, Value};
use super::plugin::PluginName;
use super::report::Report;
use super::source;
use crate::hook::Outage;

/// What the daemon needs to answer docker at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The name of the socket.
    pub plugin: PluginName,
    /// What every gate answers.
    pub outage: Outage,
    /// Where the engine's API is.
    pub docker: String,
    /// Where the journal, and the last good configuration, are kept.
    pub state_dir: PathBuf,
}

impl Default for Salvaged {
    fn default() -> Salvaged {
        Salvaged {
            plugin: PluginName::default(),
            outage: Outage::default(),
            docker: Config::DOCKER.to_owned(),
            state_dir: Config::STATE_DIR.into(),
        }
    }
}

/// Reads what can be read of the configuration in `path`; the rest is as if it were not written.
///
/// A file that is missing or that others could write is read like any other: with none of the keys in
/// it, gates are open under the default name anyway.
pub fn salvage(path: &Path) -> Salvaged {
    let found = source::read(path).map(|text| Found::of(&text)).unwrap_or_default();
    if found.complete {
        return found.or_default();
    }
    let state_dir = found.state_dir.clone().unwrap_or_else(|| Config::STATE_DIR.into());
    let good = Good::find(&state_dir, path).ok().flatten();
    found.or(good.map(|it| Found::of(it.text())).unwrap_or_default()).or_default()
}

/// What was found in a text; `None`: not there, or not to be understood.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    plugin: Option<PluginName>,
    outage: Option<Outage>,
    docker: Option<String>,
    state_dir: Option<PathBuf>,
    /// Whether the text was read to its end, so that what was not found is not there.
    complete: bool,
}

impl Found {
    fn of(text: &str) -> Found {
        let document = document::read(text, &mut Report::new(Path::new(""), text));
        let root = document.root.as_ref();
        let complete = document.complete && root.is_some_and(|it| matches!(it.value, Value::Map(_)));
        let value = |key: &'static str| {
            let read = root.and_then(|it| it.get(key));
            read.and_then(Node::text).or_else(|| values(text, key).next().filter(|_| !complete))
        };
        let name = root.and_then(|it| it.get("plugin")?.get("name")?.text()).or_else(|| plugin_name(text));
        Found {
            plugin: name.and_then(PluginName::parse),
            outage: value("outage").and_then(outage_word),
            docker: value("docker").filter(|it| file::is_docker(it)).map(str::to_owned),
            state_dir: value("state_dir").filter(|it| it.starts_with('/')).map(PathBuf::from),
            complete,
        }
    }

    /// What was found here, and for the rest what was found in `other`.
    fn or(self, other: Found) -> Found {
        Found {
            plugin: self.plugin.or(other.plugin),
            outage: self.outage.or(other.outage),
            docker: self.docker.or(other.docker),
            state_dir: self.state_dir.or(other.state_dir),
            complete: self.complete,
        }
    }

    fn or_default(self) -> Salvaged {
        let default = Salvaged::default();
        Salvaged {
            plugin: self.plugin.unwrap_or(default.plugin),
            outage: self.outage.unwrap_or(default.outage),
            docker: self.docker.unwrap_or(default.docker),
            state_dir: self.state_dir.unwrap_or(default.state_dir),
        }
    }
}

fn outage_word(word: &str) -> Option<Outage> {
    match word.to_ascii_lowercase().as_str() {
        "open" => Some(Outage::Open),
        "closed" | "close" => Some(Outage::Closed),
        _ => None,
    }
}

/// The values of `key` where it begins a line: what is left below the place at which YAML ends.
fn values<'t>(text: &'t str, key: &'static str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| Some(bare(line.strip_prefix(key)?.strip_prefix(':')?)))
}

/// The name under `plugin:`, in the same line or indented below it.
fn plugin_name(text: &str) -> Option<&str> {
    let inline = values(text, "plugin").find_map(|rest| {
        let (_, after) = rest.split_once("name:")?;
        Some(bare(after.split([',', '}']).next().unwrap_or_default()))
    });
    inline.or_else(|| {
        let below = text.lines().skip_while(|line| !line.starts_with("plugin:")).skip(1);
        let mut below = below.take_while(|line| line.starts_with(' ') || line.trim().is_empty());
        below.find_map(|line| line.trim_start().strip_prefix("name:").map(bare))
    })
}

/// A value without its comment and quotes.
fn bare(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default();
    value.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::{Found, Outage, Path, PluginName, Salvaged};

    fn salvaged(text: &str) -> (String, Outage) {
        let Salvaged { plugin, outage, .. } = Found::of(text).or_default();
        (plugin.to_string(), outage)
    }

    #[test]
    fn a_sound_file_gives_what_it_says() {
        let text = "version: 1\nplugin: {name: gate, kinds: [authz]}\noutage: closed\n";

        assert_eq!(salvaged(text), ("gate".to_owned(), Outage::Closed));
    }

    #[test]
    fn what_stands_below_a_syntax_error_is_found() {
        for plugin in
            ["plugin:\n  kinds: [authz]\n  name: 'gate' # ours\n", "plugin: {name: gate, kinds: [authz]}\n"]
        {
            let text = format!("hooks:\n  - {{name: [x\n    at: \"\n{plugin}outage: \"closed\"  # safe\n");

            assert_eq!(salvaged(&text), ("gate".to_owned(), Outage::Closed), "{text}");
        }
    }

    #[test]
    fn where_docker_and_the_state_are_is_found_above_and_below_a_syntax_error() {
        for text in [
            "docker: unix:///run/x.sock\nhooks: [\nstate_dir: /srv/state\n",
            "state_dir: \"/srv/state\"\nhooks: [\ndocker: unix:///run/x.sock # ours\n",
        ] {
            let Salvaged { docker, state_dir, .. } = Found::of(text).or_default();

            assert_eq!(docker, "unix:///run/x.sock", "{text}");
            assert_eq!(state_dir, Path::new("/srv/state"), "{text}");
        }
    }

    #[test]
    fn a_text_that_ends_early_leaves_the_rest_to_another_and_a_whole_one_does_not() {
        let other = || Found::of("version: 1\nplugin: {name: mine}\noutage: closed\n");

        for text in ["", "# nothing\n", "hooks: [\n", "- a\n"] {
            assert!(!Found::of(text).complete, "{text}");
        }
        assert!(Found::of("version: 1\nhooks: 3\n").complete);
        let salvaged = Found::of("outage: open\nhooks: [\n").or(other()).or_default();
        assert_eq!((salvaged.plugin.as_str(), salvaged.outage), ("mine", Outage::Open));
    }

    #[test]
    fn a_mistake_elsewhere_changes_nothing() {
        assert_eq!(salvaged("nonsense: 5\noutage: closed\nhooks: 3\n").1, Outage::Closed);
    }

    #[test]
    fn what_is_wrong_itself_is_as_if_it_were_not_written() {
        for text in ["", "- a\n", "plugin: {name: ../../etc}\noutage: maybe\n", "plugin: 3\noutage: [open]\n"]
        {
            assert_eq!(salvaged(text), (PluginName::DEFAULT.to_owned(), Outage::Open), "{text}");
        }
    }
}
