//! Who runs after whom at a point.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::{Hook, HookName};

/// The hooks in the order in which they run: each after those of them that it wants to run after, and
/// otherwise as they are.
pub(super) fn in_order(hooks: Vec<Arc<Hook>>) -> Vec<Arc<Hook>> {
    let mut waiting: HashSet<HookName> = hooks.iter().map(|it| it.name.clone()).collect();
    let mut left = VecDeque::from(hooks);
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let first = left.iter().position(|it| !it.after.iter().any(|name| waiting.contains(name)));
        // A circle is refused where hooks are declared; here it must only have an end.
        let Some(hook) = left.remove(first.unwrap_or(0)) else { break };
        waiting.remove(&hook.name);
        ordered.push(hook);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hook, HookName, in_order};

    /// Hooks written as `name: after after`.
    fn ordered(hooks: &[&str]) -> Vec<String> {
        let name = |it: &str| HookName::parse(it).expect("a name");
        let hook = |text: &&str| {
            let (this, after) = text.split_once(':').unwrap_or((text, ""));
            let after = after.split_whitespace().map(name).collect();
            Arc::new(Hook { after, ..Hook::named(name(this)) })
        };
        in_order(hooks.iter().map(hook).collect()).iter().map(|it| it.name.to_string()).collect()
    }

    #[test]
    fn without_a_word_hooks_run_in_the_order_of_the_file() {
        assert_eq!(ordered(&["c", "a", "b"]), ["c", "a", "b"]);
    }

    #[test]
    fn a_hook_waits_for_those_it_names_and_nobody_else_moves() {
        assert_eq!(ordered(&["a: d", "b", "c", "d", "e"]), ["b", "c", "d", "a", "e"]);
        assert_eq!(ordered(&["a: b c", "b: c", "c"]), ["c", "b", "a"]);
    }

    #[test]
    fn a_hook_that_is_not_at_the_point_is_not_waited_for() {
        assert_eq!(ordered(&["a: elsewhere", "b"]), ["a", "b"]);
    }

    #[test]
    fn a_circle_has_an_end() {
        assert_eq!(ordered(&["a: b", "b: a", "c"]).len(), 3);
    }
}
