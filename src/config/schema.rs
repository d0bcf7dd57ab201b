//! The JSON Schema of the configuration, for editors.
//!
//! It is made of the same declarations by which the tables are read, so that it knows the keys that are
//! read, and no others. What it allows may still be a mistake that only `boathook check` sees. In
//! one thing it asks for more than the reader: a number is a number, and no text of digits.

use serde_json::{Map, Value, json};

use super::file::FileDraft;
use super::table::{Key, Keys};

/// The JSON Schema (draft 2020-12) of a configuration file. A drop-in is one as well, of fewer keys.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut schema = table(&FileDraft::KEYS, &mut definitions);
    let fields = schema.as_object_mut().expect("a table is an object");
    fields.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    fields.insert("$id".into(), json!("urn:boathook:config:v1"));
    fields.insert("title".into(), json!("The configuration of boathook"));
    fields.insert("$defs".into(), definitions.into());
    schema
}

/// The schema of one table; those of the tables in it are put into `definitions`.
fn table(keys: &'static Keys, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        keys.now.iter().map(|it| (it.name.to_owned(), property(it, definitions))).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !keys.required.is_empty() {
        schema["required"] = json!(keys.required);
    }
    if !keys.one_of.is_empty() {
        let each = keys.one_of.iter().map(|it| json!({"required": [it]}));
        schema["oneOf"] = each.collect();
    }
    schema
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut refer = |keys: &'static Keys| {
        let name = name_of(keys);
        if !definitions.contains_key(&name) {
            // Put there first: a table may hold tables of its own kind.
            definitions.insert(name.clone(), Value::Null);
            let schema = table(keys, definitions);
            definitions.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    };
    let mut property = key.shape.as_ref().map_or_else(|| json!({}), |it| it.to_json(&mut refer));
    let lines: Vec<&str> = key.doc.iter().map(|it| it.trim()).collect();
    property["description"] = json!(lines.join(" "));
    if let Some(preset) = &key.preset {
        property["default"] = preset.to_json();
    }
    property
}

/// The name of a table among the definitions: what messages call it, in one word.
fn name_of(keys: &Keys) -> String {
    keys.what.trim_start_matches("a ").trim_matches('`').replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::super::file;
    use super::super::plugin::PluginName;
    use super::super::report::Report;
    use super::super::shape::NAME;
    use super::super::written::{Piece, Written};
    use super::schema;
    use crate::hook::HookName;

    /// Every key of every table, with its table's name.
    fn properties(schema: &Value) -> Vec<(String, &Value)> {
        let definitions = schema["$defs"].as_object().expect("there are tables in the table");
        let tables = definitions.iter().map(|(name, table)| (name.as_str(), table)).chain([("", schema)]);
        let keys = tables.flat_map(|(table, schema)| {
            let properties = schema["properties"].as_object().expect("a table has keys");
            properties.iter().map(move |(key, it)| (format!("{table}.{key}"), it))
        });
        keys.collect()
    }

    fn resolved(text: &str) -> String {
        let mut report = Report::new(Path::new("c.yaml"), text);
        let written = Written::of(Piece::new("c.yaml".into(), text.to_owned()), Vec::new());
        let config = file::resolve(&written, &|it, _| Ok(it.into()), &mut report);
        format!("{:?}", config.unwrap_or_else(|| panic!("{report}")))
    }

    #[test]
    fn every_key_says_what_it_is_for_and_what_it_looks_like() {
        let schema = schema();

        let silent: Vec<String> = properties(&schema)
            .into_iter()
            .filter(|(_, it)| {
                let keys = it.as_object().expect("a property is an object");
                it["description"] == "" || keys.keys().all(|it| it == "description" || it == "default")
            })
            .map(|(key, _)| key)
            .collect();
        assert_eq!(silent, [""; 0], "declared without a description or a shape");
    }

    #[test]
    fn every_default_is_what_holds_where_nothing_is_written() {
        let schema = schema();
        let presets = |table: &Value| {
            let properties = table["properties"].as_object().expect("a table has keys").clone();
            let presets =
                properties.into_iter().filter_map(|(key, it)| Some((key, it.get("default")?.clone())));
            Value::Object(presets.collect())
        };
        let definitions = &schema["$defs"];
        let mut written = presets(&schema);
        written["version"] = 1.into();
        for table in ["plugin", "defaults", "retention", "reconcile"] {
            written[table] = presets(&definitions[table]);
        }
        let hook = |presets: Value| {
            let mut hook = serde_json::json!({"name": "h", "at": "post_start", "exec": ["/bin/true"]});
            let all = presets.as_object().expect("an object").clone();
            hook.as_object_mut().expect("an object").extend(all);
            serde_json::json!({"version": 1, "hooks": [hook]}).to_string()
        };

        assert!(written.as_object().is_some_and(|it| it.len() > 8), "{written}");
        assert_eq!(resolved(&written.to_string()), resolved("version: 1\n"));
        let plain = resolved(&hook(serde_json::json!({})));
        assert_eq!(resolved(&hook(presets(&definitions["hook"]))), plain);
        let retry = |it: Value| resolved(&hook(serde_json::json!({"retry": it})));
        assert_eq!(retry(presets(&definitions["retry"])), retry(serde_json::json!({})));
        let group = |mut it: Value| {
            it["group"] = "g".into();
            resolved(&hook(serde_json::json!({"concurrency": it})))
        };
        assert_eq!(group(presets(&definitions["concurrency"])), group(serde_json::json!({})));
        let cleanup = |mut it: Value| {
            it["exec"] = serde_json::json!(["/bin/true"]);
            resolved(&hook(serde_json::json!({"cleanup": it})))
        };
        let again = serde_json::json!({"retry": presets(&definitions["cleanup.retry"])});
        assert_eq!(cleanup(again), cleanup(serde_json::json!({})));
    }

    #[test]
    fn a_name_in_the_schema_is_a_name_to_the_reader() {
        assert_eq!(NAME, format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", HookName::MAX_CHARS - 1));
        assert_eq!(HookName::MAX_CHARS, PluginName::CHARS_MAX);
    }
}
