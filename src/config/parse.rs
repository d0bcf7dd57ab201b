//! From fields to values: each is read by a function that knows nothing of its place, and what is
//! wrong with it is noted at the place where it stands.

use super::node::{Node, Value};
use super::report::{Report, Wrong};
use super::table::{Field, Outline};

impl Report {
    /// Reads the value of `field`, or notes what is wrong with it.
    pub(super) fn parse<'n, T>(
        &mut self,
        field: &'n Field,
        read: impl FnOnce(&'n Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.parse_node(field.key, &field.value, read)
    }

    /// Reads `node`, which belongs to `key`, or notes what is wrong with it.
    pub(super) fn parse_node<'n, T>(
        &mut self,
        key: &str,
        node: &'n Node,
        read: impl FnOnce(&'n Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        if node.value == Value::Broken {
            return None;
        }
        read(node).map_err(|wrong| self.push(node.span.clone(), about(key, wrong))).ok()
    }

    /// Reads the value of `field` if it was written, and is `default` if not.
    pub(super) fn parse_or<'n, T>(
        &mut self,
        field: Option<&'n Field>,
        default: T,
        read: impl FnOnce(&'n Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        match field {
            Some(field) => self.parse(field, read),
            None => Some(default),
        }
    }

    /// Notes that `keys` are missing from a table, unless what stands there is reported already.
    pub(super) fn missing(&mut self, outline: &Outline, keys: &[&str], wrong: Wrong) {
        if !outline.settles(keys) {
            self.push(outline.span.start..outline.span.start, wrong);
        }
    }

    /// The elements of a list; one value by itself is a list of one. Notes an empty list.
    pub(super) fn elements<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                let wrong = Wrong::new("empty", format!("`{key}` is an empty list"));
                self.push(node.span.clone(), wrong.help(format!("name at least one, or remove `{key}`")));
                None
            }
            Value::List(items) => Some(items),
            Value::Broken => None,
            _ => Some(std::slice::from_ref(node)),
        }
    }

    /// Reads every element of a list, or a value by itself; `None` if one of them is wrong.
    pub(super) fn parse_each<'n, T>(
        &mut self,
        field: &'n Field,
        mut read: impl FnMut(&'n Node) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let items = self.elements(field.key, &field.value)?;
        // All of them before any is required, so that each mistake is shown.
        let parsed: Vec<Option<T>> =
            items.iter().map(|item| self.parse_node(field.key, item, &mut read)).collect();
        parsed.into_iter().collect()
    }
}

/// `wrong` as a sentence about `key`. A message that begins with a backtick speaks for itself.
fn about(key: &str, wrong: Wrong) -> Wrong {
    if wrong.message.starts_with('`') {
        return wrong;
    }
    Wrong { message: format!("`{key}` {}", wrong.message), ..wrong }
}
