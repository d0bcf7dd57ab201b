//! Scripts in a driver's place.
//!
//! A network, a pool or a volume can be one whose calls are answered by a script. A user of docker chooses it
//! by a name that the operator has declared; what is run is the operator's alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use docker_plugin_sdk::driver::{Arguments, DriverError, Request};
use serde_json::Value;
use tracing::warn;

use crate::hook::{Script, ScriptName};
use crate::runner::Runner;

/// The scripts that the operator has declared, as of now. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Scripts {
    runner: Runner,
    declared: Arc<ArcSwap<BTreeMap<ScriptName, Arc<Script>>>>,
}

/// Why there is no script to answer.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// None is called that.
    #[error("there is no script `{name}`: the configuration of boathook declares {}", .declared.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are; never empty.
        declared: Vec<ScriptName>,
    },
    /// There are none at all.
    #[error("there is no script `{name}`: the configuration of boathook declares none under `scripts`")]
    None {
        /// What was asked for.
        name: String,
    },
}

impl Scripts {
    /// These scripts, run by `runner`.
    pub fn new(runner: Runner, declared: BTreeMap<ScriptName, Arc<Script>>) -> Scripts {
        Scripts { runner, declared: Arc::new(ArcSwap::from_pointee(declared)) }
    }

    /// Puts other scripts in the place of those that there are. Calls under way keep theirs.
    pub fn obey(&self, declared: BTreeMap<ScriptName, Arc<Script>>) {
        self.declared.store(Arc::new(declared));
    }

    /// The script of that name.
    ///
    /// # Errors
    ///
    /// When there is none; then with the names that there are.
    pub fn find(&self, name: &str) -> Result<Arc<Script>, ScriptError> {
        let declared = self.declared.load();
        let found = ScriptName::parse(name).and_then(|it| declared.get(&it).cloned());
        found.ok_or_else(|| match declared.is_empty() {
            true => ScriptError::None { name: name.to_owned() },
            false => {
                ScriptError::Unknown { name: name.to_owned(), declared: declared.keys().cloned().collect() }
            }
        })
    }

    /// What the script called `name` answers to a call of the engine; an object.
    ///
    /// # Errors
    ///
    /// When there is no such script any more, when it fails, or says why not: in `Err`, or `Error`.
    pub async fn answer<T: Arguments>(&self, name: &str, request: &Request<T>) -> Result<Value, DriverError> {
        self.call(name, T::PATH.trim_start_matches('/'), request.raw()).await
    }

    /// What the script called `name` answers to a call of `method` with this JSON; an object.
    ///
    /// # Errors
    ///
    /// As [`Scripts::answer`].
    pub async fn call(&self, name: &str, method: &str, request: &[u8]) -> Result<Value, DriverError> {
        let script = self.find(name)?;
        match self.runner.delegate(&script, method, request).await {
            Ok(reply) => checked(reply).map_err(|why| DriverError::new(format!("script `{name}`: {why}"))),
            Err(error) => {
                warn!(
                    script = name,
                    method,
                    error = &error as &dyn std::error::Error,
                    "a script gave no answer"
                );
                let error = DriverError::from(error);
                Err(DriverError::new(format!("script `{name}`: {error}")))
            }
        }
    }
}

/// The reply, if it is an object and no error.
fn checked(reply: Value) -> Result<Value, String> {
    let Value::Object(fields) = &reply else {
        return Err(format!("its reply to this call is no object: {reply}"));
    };
    // Networks and volumes say `Err`, addresses `Error`.
    let told = ["Err", "Error"].iter().find_map(|key| fields.get(*key)?.as_str());
    match told.filter(|it| !it.is_empty()) {
        Some(told) => Err(told.to_owned()),
        None => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::checked;

    #[test]
    fn a_reply_is_an_object_without_an_error() {
        assert_eq!(
            checked(json!({"Gateway": "10.0.0.1", "Err": ""})).expect("no error")["Gateway"],
            "10.0.0.1"
        );
        assert_eq!(checked(json!({"Err": "no bridge"})), Err("no bridge".to_owned()));
        assert_eq!(checked(json!({"Error": "full"})), Err("full".to_owned()));
        assert!(checked(json!([])).is_err());
    }
}
