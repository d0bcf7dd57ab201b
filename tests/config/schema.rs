//! The JSON Schema of the configuration, held against the files here.

use std::fs;
use std::path::Path;

use boathook::config;
use boon::{Compiler, SchemaIndex, Schemas};

use super::pairs::{directory, names};
use super::scratch::Scratch;
use super::yaml;

/// What an editor can see of the mistakes here: what kind of value stands where, and under which key.
const STRUCTURAL: [&str; 37] = [
    "booleans",
    "cleanup-at",
    "cleanup-keys",
    "concurrency",
    "debounce",
    "docker",
    "docker-nonsense",
    "docker-tcp",
    "duration-forms",
    "environment-list",
    "exec-empty",
    "exec-table",
    "exec-text",
    "exit-code",
    "hook-concurrency",
    "hook-name",
    "hook-text",
    "hooks-scalar",
    "hooks-table",
    "http",
    "http-headers",
    "later-hook",
    "later-top",
    "later-when",
    "list-at-top",
    "missing-keys",
    "missing-version",
    "no-unit",
    "no-unit-30",
    "no-value",
    "plugin-text",
    "reconcile-off",
    "reconcile-text",
    "state-dir",
    "two-actions",
    "unknown-key",
    "unknown-point",
];

struct Validator {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Validator {
    fn new() -> Validator {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = config::schema();
        let id = schema["$id"].as_str().expect("it has an id").to_owned();
        compiler.add_resource(&id, schema).expect("its id is a URN");
        let schema = compiler.compile(&id, &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Validator { schemas, schema }
    }

    /// What the schema has against `text`.
    fn complaint(&self, text: &str) -> Option<String> {
        let value = yaml::to_json(text).unwrap_or_else(|| panic!("this is not YAML:\n{text}"));
        self.schemas.validate(&value, self.schema).err().map(|it| format!("{it:#}"))
    }
}

fn text(name: &str) -> String {
    fs::read_to_string(directory().join(format!("{name}.yaml"))).expect("it is text")
}

#[test]
fn what_is_right_is_right_by_the_schema() {
    let validator = Validator::new();
    let scratch = Scratch::new();
    let mut right = 0;

    for name in names("yaml") {
        let content = fs::read(directory().join(format!("{name}.yaml"))).expect("it was listed");
        if config::load(&scratch.write("config.yaml", &content, 0o644)).is_err() {
            continue;
        }
        right += 1;
        assert_eq!(validator.complaint(&text(&name)), None, "{name}.yaml");
    }

    assert!(right >= 2, "there are examples without a mistake");
}

#[test]
fn the_default_configuration_and_a_drop_in_are_right_by_the_schema() {
    let validator = Validator::new();
    let read = |path: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
    };

    for path in ["config.yaml", "tests/config/drop-ins/sound/hooks.d/10-package.yaml"] {
        assert_eq!(validator.complaint(&read(path)), None, "{path}");
    }
}

#[test]
fn what_an_editor_can_see_is_wrong_by_the_schema() {
    let validator = Validator::new();

    for name in STRUCTURAL {
        assert!(validator.complaint(&text(name)).is_some(), "{name}.yaml");
    }
}

#[test]
fn what_comes_later_is_not_in_the_schema() {
    let schema = config::schema().to_string();

    for key in ["\"control\"", "\"listen\"", "\"labels\""] {
        assert!(!schema.contains(key), "{key}");
    }
}
