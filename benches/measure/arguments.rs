//! What a benchmark is asked to do.

use std::env;

/// The command line of a benchmark.
pub struct Arguments {
    /// Write one JSON array instead of a table.
    pub json: bool,
    /// Rows whose family holds one of these words; all when empty.
    words: Vec<String>,
    /// What this process plays instead of measuring: the program is its own counterpart.
    pub role: Vec<String>,
}

impl Arguments {
    /// The command line of this process. `cargo bench` adds `--bench`, which says nothing.
    pub fn read() -> Arguments {
        let mut arguments = Arguments { json: false, words: Vec::new(), role: Vec::new() };
        let mut given = env::args().skip(1);
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--bench" => {}
                "--json" => arguments.json = true,
                "role" => arguments.role = given.by_ref().collect(),
                _ => arguments.words.push(argument),
            }
        }
        arguments
    }

    /// Whether the family of rows called so is asked for.
    pub fn wants(&self, family: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| family.contains(word.as_str()))
    }
}
