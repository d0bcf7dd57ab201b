//! `boathook schema`: what a configuration, or the document that a script is given, looks like.

use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config;

/// The schema of the document as it is shipped; a test holds it to the type.
const DOCUMENT: &str = include_str!("../../docs/contract/document.v1.schema.json");

/// What a schema is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Of {
    /// The configuration file
    #[default]
    Config,
    /// The document that a script is given on standard input
    Document,
}

/// Prints the JSON Schema (draft 2020-12).
pub(super) fn print(of: Of) -> ExitCode {
    // A reader that has closed the pipe has seen what it wanted.
    let _ = match of {
        Of::Config => writeln!(anstream::stdout(), "{:#}", config::schema()),
        Of::Document => write!(anstream::stdout(), "{DOCUMENT}"),
    };
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{DOCUMENT, config};

    #[test]
    fn both_are_schemas_of_the_same_draft_and_tell_themselves_apart() {
        let config = config::schema();
        let document: Value = serde_json::from_str(DOCUMENT).expect("a schema is JSON");

        assert_eq!(config["$schema"], document["$schema"]);
        assert_ne!(config["$id"], document["$id"]);
        assert!(document["properties"]["container"].is_object(), "{document:#}");
    }
}
