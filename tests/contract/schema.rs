//! The JSON Schema that is shipped.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use boathook::runner::Document;
use boon::{Compiler, SchemaIndex, Schemas};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

/// A schema that documents are held against.
pub(super) struct Validator {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Validator {
    /// The shipped schema, which passes over keys that it does not know.
    pub(super) fn shipped() -> Validator {
        Validator::of(shipped())
    }

    /// The shipped schema, for which a key that it does not know is a mistake.
    pub(super) fn closed() -> Validator {
        let mut schema = shipped();
        let definitions = schema["$defs"].as_object_mut().expect("a schema with definitions");
        definitions.values_mut().for_each(close);
        close(&mut schema);
        Validator::of(schema)
    }

    fn of(schema: Value) -> Validator {
        let id = schema["$id"].as_str().expect("a schema with an id").to_owned();
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(&id, schema).expect("an id that is a URN");
        let schema = compiler.compile(&id, &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Validator { schemas, schema }
    }

    /// Everything that is wrong with `document`, in words.
    pub(super) fn mistakes(&self, document: &Value) -> Option<String> {
        self.schemas.validate(document, self.schema).err().map(|it| it.to_string())
    }
}

fn close(schema: &mut Value) {
    if schema.get("properties").is_some() {
        schema["additionalProperties"] = json!(false);
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract/document.v1.schema.json")
}

fn shipped() -> Value {
    let text = fs::read_to_string(path()).expect("the schema is shipped");
    serde_json::from_str(&text).expect("a schema is JSON")
}

/// The schema that the type has now.
fn generated() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with_transform(RecursiveTransform(forget_width));
    let settings = settings.with_transform(RecursiveTransform(unwrap_lines));
    settings.into_generator().into_root_schema_for::<Document<'static>>().to_value()
}

/// Takes `uint32` and its like out: what an integer is kept in here is nobody's business, and no
/// format that validators know.
fn forget_width(schema: &mut Schema) {
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|it| it.starts_with("int") || it.starts_with("uint")) {
        schema.remove("format");
    }
}

/// Lines end where paragraphs do, and not at the width of our source.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|it| it.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

/// The smallest document: nothing is known of the container.
fn smallest() -> Value {
    json!({
        "contract": 1, "run": "01k", "attempt": 1, "hook": "h", "point": "post_stop", "phase": "setup",
        "cause": "engine", "reason": null, "at": "2026-11-22T13:20:29Z", "deadline": "2026-11-22T13:20:59Z",
        "host": "a", "engine": "b", "passage": 0,
        "subject": {"kind": "container", "id": null, "name": null},
        "container": {
            "id": null, "name": null, "image": null, "image_id": null, "hostname": null, "user": null,
            "privileged": null, "auto_remove": null, "pid": null, "netns": null, "created_at": null
        },
        "networks": null, "mounts": null, "labels": null, "exit": null, "request": null,
        "setup": null
    })
}

#[test]
fn the_shipped_schema_is_that_of_the_type() {
    let generated = format!("{:#}\n", generated());
    if env::var_os("BLESS").is_some() {
        fs::write(path(), &generated).expect("the source tree can be written");
    }

    let shipped = fs::read_to_string(path()).unwrap_or_default();

    assert!(shipped == generated, "`BLESS=1` writes the schema anew; it would be\n{generated}");
}

#[test]
fn the_schema_says_what_it_is_and_explains_every_key() {
    let schema = shipped();

    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$id"], "urn:boathook:contract:document:v1");
    let definitions = schema["$defs"].as_object().expect("a schema with definitions");
    for (name, it) in definitions.iter().map(|(name, it)| (name.as_str(), it)).chain([("document", &schema)])
    {
        assert!(it["description"].is_string(), "{name}");
        for (key, value) in it["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].is_string(), "{name}.{key}");
        }
    }
}

#[test]
fn a_document_of_which_nothing_is_known_is_a_document() {
    assert_eq!(Validator::closed().mistakes(&smallest()), None);
}

#[test]
fn what_a_clean_up_is_told_is_a_document() {
    let mut document = smallest();
    document["phase"] = json!("cleanup");
    document["cause"] = json!("aborted");
    document["setup"] = json!([
        {"run": "01j", "outcome": "exited", "exit_code": 0, "stdout": "", "state": {"port": 80}},
        {"run": "01k", "outcome": null, "exit_code": null, "stdout": "", "state": null},
    ]);

    assert_eq!(Validator::closed().mistakes(&document), None);
}

#[test]
fn what_is_told_of_a_clean_up_that_was_given_up_is_a_document() {
    let mut document = smallest();
    document["point"] = json!("debt.given_up");
    document["debt"] = json!({"hook": "firewall", "run": "01k"});

    assert_eq!(Validator::closed().mistakes(&document), None);
}

#[test]
fn what_is_no_document_is_refused() {
    for (key, value) in [
        ("contract", json!(2)),
        ("point", json!("pre_lunch")),
        ("cause", json!("whim")),
        ("reason", json!("")),
        ("at", json!("yesterday")),
        ("passage", json!(-1)),
        ("attempt", json!(0)),
        ("labels", json!({"a": 1})),
        ("networks", json!([{"name": null}])),
        ("exit", json!({"code": "0", "at": null})),
        ("request", json!({"method": "POST"})),
        ("container", json!({})),
        ("subject", json!({"kind": "pod", "id": null, "name": null})),
        ("network", json!({"id": 1})),
        ("debt", json!({"hook": "h"})),
        ("setup", json!([{"run": "01k"}])),
        ("setup", json!({})),
    ] {
        let mut document = smallest();
        document[key] = value;
        assert!(Validator::shipped().mistakes(&document).is_some(), "{document}");
    }
    for key in smallest().as_object().expect("an object").keys() {
        let mut document = smallest();
        document.as_object_mut().expect("an object").remove(key);
        assert!(Validator::shipped().mistakes(&document).is_some(), "without {key}");
    }
}

#[test]
fn a_key_that_is_new_is_passed_over_by_the_schema_and_found_by_us() {
    let mut document = smallest();
    document["container"]["mood"] = json!("sunny");

    assert_eq!(Validator::shipped().mistakes(&document), None);
    assert!(Validator::closed().mistakes(&document).is_some());
}
