//! Which of the engine's calls a method and a path are.
//!
//! Every call is looked at, so the table of routes is arranged once: by method and first segment, with each
//! path already split at its names.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::routes::{ROUTES, Route, What};

/// The routes that share method and first segment, in the order of the table.
type Shelf = Vec<(Shape, What)>;

static SHELVES: LazyLock<HashMap<(&str, &str), Shelf>> = LazyLock::new(|| {
    let mut shelves: HashMap<_, Shelf> = HashMap::new();
    for Route { method, path, what } in ROUTES {
        shelves.entry((*method, first_segment(path))).or_default().push((Shape::of(path), *what));
    }
    shelves
});

/// The path of a route, taken apart.
enum Shape {
    /// This path.
    Exact(&'static str),
    /// A name between these. It may hold slashes (`{name:.*}` in moby's routes).
    Name { before: &'static str, after: &'static str },
    /// A name and another one, neither with a slash, apart by `between`.
    Names { before: &'static str, between: &'static str },
}

impl Shape {
    fn of(path: &'static str) -> Shape {
        let Some((before, after)) = path.split_once("{}") else { return Shape::Exact(path) };
        match after.split_once("{}") {
            None => Shape::Name { before, after },
            Some((between, "")) => Shape::Names { before, between },
            Some(_) => unreachable!("a route ends after its second name"),
        }
    }

    /// The name in `path`, the first if there are two; `None` if the path has another shape.
    fn matches<'p>(&self, path: &'p str) -> Option<Option<&'p str>> {
        let name = match self {
            Shape::Exact(exact) => return (*exact == path).then_some(None),
            Shape::Name { before, after } => path.strip_prefix(before)?.strip_suffix(after)?,
            Shape::Names { before, between } => {
                let (name, other) = path.strip_prefix(before)?.split_once(between)?;
                (!name.contains('/') && !other.is_empty() && !other.contains('/')).then_some(name)?
            }
        };
        (!name.is_empty()).then_some(Some(name))
    }
}

/// The call that the engine serves for `method` on `path`, and the name in it, where it has one.
pub(super) fn route<'p>(method: &str, path: &'p str) -> Option<(What, Option<&'p str>)> {
    let shelf = SHELVES.get(&(method, first_segment(path)))?;
    shelf.iter().find_map(|(shape, what)| Some((*what, shape.matches(path)?)))
}

/// What stands before the second slash, the first one left out. No route begins with a name.
fn first_segment(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').map_or(path, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ROUTES, Shape, route};

    /// The engine's own way: one route after the other.
    fn searched<'p>(method: &str, path: &'p str) -> Option<(super::What, Option<&'p str>)> {
        let routes = ROUTES.iter().filter(|it| it.method == method);
        routes
            .map(|it| (it.what, Shape::of(it.path)))
            .find_map(|(what, shape)| Some((what, shape.matches(path)?)))
    }

    #[test]
    fn every_route_is_found_by_a_path_of_its_own() {
        for it in ROUTES {
            let path = it.path.replace("{}", "web");
            assert!(route(it.method, &path).is_some(), "{} {path}", it.method);
            assert_eq!(route(it.method, &path), searched(it.method, &path), "{} {path}", it.method);
        }
    }

    proptest! {
        #[test]
        fn the_shelves_hold_what_the_table_holds(
            method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", ""]),
            table in prop::sample::select(ROUTES.iter().map(|it| it.path).collect::<Vec<_>>()),
            name in "[a-z/]{0,6}",
            around in prop::sample::select(vec!["", "/", "x"]),
        ) {
            let path = format!("{}{around}", table.replace("{}", &name));

            prop_assert_eq!(route(method, &path), searched(method, &path), "{} {}", method, path);
        }
    }
}
