//! What can be known of a configuration that is broken.
//!
//! The daemon serves its socket even then, and answers as `outage` says. A guess is never more
//! dangerous than none: what is read here is either the default or what stands in the file.

use std::path::Path;

use super::document;
use super::node::Node;
use super::plugin::PluginName;
use super::report::Report;
use super::source;
use crate::hook::Outage;

/// What the daemon needs to answer docker at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The name of the socket.
    pub plugin: PluginName,
    /// What every gate answers.
    pub outage: Outage,
}

/// Reads what can be read of the configuration in `path`; the rest is as if it were not written.
///
/// A file that is missing or that others could write is read like any other: with neither key in it,
/// gates are open under the default name anyway.
pub fn salvage(path: &Path) -> Salvaged {
    source::read(path).map(|text| from_text(path, &text)).unwrap_or_default()
}

fn from_text(path: &Path, text: &str) -> Salvaged {
    let root = document::read(text, &mut Report::new(path, text)).root;
    let root = root.as_ref();
    let name = root
        .and_then(|it| it.get("plugin")?.get("name")?.text().map(str::to_owned))
        .or_else(|| plugin_name(text).map(str::to_owned));
    let outage =
        root.and_then(|it| it.get("outage").and_then(Node::text)).or_else(|| values(text, "outage").next());
    Salvaged {
        plugin: name.and_then(|it| PluginName::parse(&it)).unwrap_or_default(),
        outage: outage.and_then(outage_word).unwrap_or_default(),
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
    use std::path::Path;

    use super::{Outage, PluginName, Salvaged, from_text};

    fn salvaged(text: &str) -> (String, Outage) {
        let Salvaged { plugin, outage } = from_text(Path::new("c.yaml"), text);
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
