//! The paths that a source file writes down.
//!
//! The file is read as the compiler reads it, token by token: words in comments and texts are no
//! paths, and paths in macros are. `use` trees are taken apart, `self` and `super` followed, and a
//! path that begins with an imported name is the path that was imported. Types are not known: what
//! a method belongs to is not seen.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use super::Breach;

/// How many imports one path is followed through; more would be a circle.
const IMPORTS_MAX: usize = 8;

/// One file and what it mentions.
#[derive(Debug)]
pub(super) struct Source {
    /// From the package's folder.
    pub(super) file: PathBuf,
    /// The name below `src/`: of the file, or of the folder that it is in.
    pub(super) room: String,
    pub(super) mentions: Vec<Mention>,
    /// The modules that it declares, and where.
    pub(super) modules: Vec<(String, usize)>,
}

/// A path that is written down somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// As seen from outside: the first segment is `crate` or the name of another crate; the last
    /// is `*` for a glob import.
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    /// Whether it is written in something that is only there under `#[cfg(test)]`.
    pub(super) in_test: bool,
}

impl Source {
    /// Reads the text of `file`, which is below `src/`.
    pub(super) fn read(file: &Path, text: &str) -> Source {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| {
            panic!("{} is not Rust: {error}", file.display());
        });
        let module = module_of(file);
        let mut reader = Reader::default();
        reader.read(tokens, &Place { module: module.clone(), in_test: false });
        let room = match (module.first(), file.file_stem()) {
            (Some(room), _) => room.clone(),
            (None, stem) => stem.unwrap_or_default().to_string_lossy().into_owned(),
        };
        let mentions = reader.written.iter().map(|it| reader.resolve(it)).collect();
        Source { file: file.to_owned(), room, mentions, modules: reader.modules }
    }

    /// A breach in this file.
    pub(super) fn breach(&self, line: usize, what: String) -> Breach {
        Breach { file: self.file.clone(), line, what }
    }
}

impl Mention {
    pub(super) fn is_glob(&self) -> bool {
        self.path.last().is_some_and(|it| it == "*")
    }

    /// Whether the mention is of `path` or of something in it, or imports it along with others.
    pub(super) fn is_of(&self, path: &str) -> bool {
        let wanted: Vec<_> = path.split("::").collect();
        let named = self.path.iter().map(String::as_str).filter(|it| *it != "*");
        let all_alike = wanted.iter().copied().zip(named).all(|(wanted, named)| wanted == named);
        all_alike && (self.path.len() >= wanted.len() || self.is_glob())
    }
}

/// The module that a file is, from the root of the crate.
fn module_of(file: &Path) -> Vec<String> {
    let below: PathBuf = file.components().skip(1).collect();
    let mut module: Vec<String> =
        below.with_extension("").iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let is_the_folder_itself = matches!(module.last().map(String::as_str), Some("mod"));
    if is_the_folder_itself || matches!(module.as_slice(), [root] if root == "lib" || root == "main") {
        module.pop();
    }
    module
}

/// Where tokens stand.
#[derive(Clone, Debug)]
struct Place {
    module: Vec<String>,
    in_test: bool,
}

/// A path as it is written.
#[derive(Debug)]
struct Written {
    path: Vec<String>,
    line: usize,
    place: Place,
}

#[derive(Default)]
struct Reader {
    written: Vec<Written>,
    modules: Vec<(String, usize)>,
    /// Modules that can be named without a path, by where they are declared.
    declared: HashSet<(Vec<String>, String)>,
    /// What an imported name stands for. Two functions may import the same name.
    imported: HashMap<String, Vec<(Vec<String>, Place)>>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, place: &Place) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        // Whether the item that stands here is only for tests.
        let mut in_test = place.in_test;
        while let Some((first, after)) = rest.split_first() {
            let here = Place { module: place.module.clone(), in_test };
            rest = after;
            match first {
                TokenTree::Ident(word) if word == "use" && !is_punct(after.first(), '<') => {
                    rest = self.read_use(after, &here);
                    in_test = place.in_test;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let Some(TokenTree::Ident(name)) = after.first() {
                        rest = self.read_module(name, &after[1..], &here);
                        in_test = place.in_test;
                    }
                }
                TokenTree::Ident(word) => rest = self.read_path(word, after, &here),
                TokenTree::Group(group) => {
                    in_test |= is_cfg_test(group);
                    self.read(group.stream(), &Place { in_test, ..here });
                    if group.delimiter() == Delimiter::Brace {
                        in_test = place.in_test;
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => in_test = place.in_test,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// A module, from after its name on; gives back what follows.
    fn read_module<'a>(&mut self, name: &Ident, after: &'a [TokenTree], place: &Place) -> &'a [TokenTree] {
        self.modules.push((name.to_string(), name.span().start().line));
        self.declared.insert((place.module.clone(), name.to_string()));
        match after.first() {
            Some(TokenTree::Group(body)) => {
                let module = place.module.iter().cloned().chain([name.to_string()]).collect();
                self.read(body.stream(), &Place { module, in_test: place.in_test });
                &after[1..]
            }
            _ => after,
        }
    }

    /// A path that begins with `first`; gives back what follows. A single word is no path.
    fn read_path<'a>(&mut self, first: &Ident, mut after: &'a [TokenTree], place: &Place) -> &'a [TokenTree] {
        let mut path = vec![first.to_string()];
        while let Some(TokenTree::Ident(next)) = after_colons(after).and_then(<[_]>::first) {
            path.push(next.to_string());
            after = &after[3..];
        }
        if path.len() > 1 {
            self.write(path, first.span().start().line, place);
        }
        after
    }

    /// An import, from after `use` on; gives back what follows.
    fn read_use<'a>(&mut self, after: &'a [TokenTree], place: &Place) -> &'a [TokenTree] {
        let end = after.iter().position(|it| is_punct(Some(it), ';')).unwrap_or(after.len());
        let (tree, rest) = after.split_at(end);
        self.read_use_tree(&[], tree, place);
        rest
    }

    fn read_use_tree(&mut self, prefix: &[String], tree: &[TokenTree], place: &Place) {
        let mut path = prefix.to_vec();
        let mut rest = tree;
        while let Some((first, after)) = rest.split_first() {
            let line = first.span().start().line;
            rest = after;
            match first {
                TokenTree::Ident(word) if word == "as" => {
                    let name = after.first().map(ToString::to_string).unwrap_or_default();
                    return self.import(path, name, line, place);
                }
                TokenTree::Ident(word) => {
                    path.push(word.to_string());
                    let last = !is_punct(after.first(), ':') && !is_ident(after.first(), "as");
                    if last {
                        let is_self = word == "self" && path.len() > 1;
                        path.truncate(path.len() - usize::from(is_self));
                        let name = path.last().cloned().unwrap_or_default();
                        return self.import(path, name, line, place);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    path.push("*".into());
                    return self.write(path, line, place);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                TokenTree::Group(branches) => {
                    let branches: Vec<_> = branches.stream().into_iter().collect();
                    for branch in branches.split(|it| is_punct(Some(it), ',')) {
                        self.read_use_tree(&path, branch, place);
                    }
                    return;
                }
            }
        }
    }

    fn import(&mut self, mut path: Vec<String>, name: String, line: usize, place: &Place) {
        if path.len() > 1 && path.last().is_some_and(|it| it == "self") {
            path.pop();
        }
        self.imported.entry(name).or_default().push((path.clone(), place.clone()));
        self.write(path, line, place);
    }

    fn write(&mut self, path: Vec<String>, line: usize, place: &Place) {
        self.written.push(Written { path, line, place: place.clone() });
    }

    fn resolve(&self, written: &Written) -> Mention {
        let path = self.absolute(&written.path, &written.place, IMPORTS_MAX);
        Mention { path, line: written.line, in_test: written.place.in_test }
    }

    /// The path as seen from outside.
    fn absolute(&self, path: &[String], place: &Place, imports_max: usize) -> Vec<String> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let from = |module: &[String]| {
            let root = iter::once("crate".to_owned());
            root.chain(module.iter().cloned()).chain(rest.iter().cloned()).collect::<Vec<_>>()
        };
        match first.as_str() {
            "crate" | "boathook" => from(&[]),
            "self" => from(&place.module),
            "super" => {
                let above = place.module.split_last().map_or(&[][..], |(_, above)| above);
                let here = Place { module: above.to_vec(), in_test: place.in_test };
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(rest, &here, imports_max),
                    _ => from(above),
                }
            }
            name if self.declared.contains(&(place.module.clone(), name.to_owned())) => {
                from(&[&place.module[..], &[name.to_owned()]].concat())
            }
            name => match self.imported_as(name, imports_max) {
                Some((import, there)) => {
                    let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
                    self.absolute(&whole, there, imports_max - 1)
                }
                None => path.to_vec(),
            },
        }
    }

    /// What `name` was imported as. Of several imports, one of another crate or room counts more
    /// than one from nearby.
    fn imported_as(&self, name: &str, imports_max: usize) -> Option<&(Vec<String>, Place)> {
        let imports = self.imported.get(name).filter(|_| imports_max > 0)?;
        let real = imports.iter().filter(|(import, _)| import.first().is_some_and(|it| it != name));
        real.min_by_key(|(import, _)| import.first().is_some_and(|it| it == "super" || it == "self"))
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == wanted)
}

/// What follows `::`.
fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let colons = is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':');
    colons.then(|| &tokens[2..])
}

/// Whether a group is the inside of `#[cfg(test)]`.
fn is_cfg_test(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        match tokens.as_slice() {
            [TokenTree::Ident(cfg), TokenTree::Group(condition)] => {
                cfg == "cfg" && condition.stream().to_string() == "test"
            }
            _ => false,
        }
    }
}

/// The paths that a made-up file mentions, and whether in a test.
fn mentioned(file: &str, text: &str) -> Vec<(String, bool)> {
    let source = Source::read(Path::new(file), text);
    source.mentions.into_iter().map(|it| (it.path.join("::"), it.in_test)).collect()
}

fn paths(file: &str, text: &str) -> Vec<String> {
    mentioned(file, text).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn use_trees_are_taken_apart() {
    let text = "pub(crate) use crate::{a::{self, B as C, d::*}, e};\nuse ::tokio::spawn;";

    assert_eq!(
        paths("src/hook.rs", text),
        ["crate::a", "crate::a::B", "crate::a::d::*", "crate::e", "tokio::spawn"]
    );
}

#[test]
fn words_in_comments_and_texts_are_no_paths() {
    let text = r##"
        //! [`crate::a`]
        /* use crate::b; */
        /// crate::c
        const D: &str = "crate::d"; const E: &str = r#"use crate::e;"#; const F: char = ':';
    "##;

    assert_eq!(paths("src/hook.rs", text), [""; 0]);
}

#[test]
fn paths_in_code_macros_attributes_and_visibilities_are_seen() {
    let text = "#[derive(a::B)] pub(in crate::c) fn f(x: &crate::d::E) -> Result<(), crate::f::G> {
        select! { it = crate::h::i() => vec![<X as crate::j::K>::L] }
        macro_rules! m { () => { $crate::n::o!() } }
    }";

    assert_eq!(
        paths("src/hook.rs", text),
        ["a::B", "crate::c", "crate::d::E", "crate::f::G", "crate::h::i", "crate::j::K", "crate::n::o"]
    );
}

#[test]
fn self_and_super_are_followed_from_the_module_they_stand_in() {
    let text = "use super::super::run; use self::x::Y; mod inner { use super::super::super::journal::J; }";

    assert_eq!(
        paths("src/engine/gate.rs", text),
        ["crate::run", "crate::engine::gate::x::Y", "crate::journal::J"]
    );
    assert_eq!(paths("src/engine/mod.rs", "use super::run;"), ["crate::run"]);
}

#[test]
fn an_imported_name_is_what_was_imported() {
    let text = "use tokio::{self as t, task}; use t::spawn as start; use super::files;
        fn f() { task::spawn_blocking(g); t::spawn(h); files::make() }";

    assert_eq!(
        paths("src/runner/process.rs", text),
        [
            "tokio",
            "tokio::task",
            "tokio::spawn",
            "crate::runner::files",
            "tokio::task::spawn_blocking",
            "tokio::spawn",
            "crate::runner::files::make"
        ]
    );
}

#[test]
fn a_module_of_ones_own_is_no_other_crate() {
    let text = "mod event; pub use event::Event; mod tokio { pub fn spawn() {} } fn f() { tokio::spawn() }";

    assert_eq!(
        paths("src/lifecycle/mod.rs", text),
        ["crate::lifecycle::event::Event", "crate::lifecycle::tokio::spawn"]
    );
    assert_eq!(paths("src/lib.rs", "mod cli; pub use cli::Cli;"), ["crate::cli::Cli"]);
    assert_eq!(paths("src/main.rs", "use boathook::cli::Cli;"), ["crate::cli::Cli"]);
}

#[test]
fn what_is_only_for_tests_is_known_for_it() {
    let text = "use a::B; #[cfg(test)] mod tests { use c::D; fn f(x: e::F) {} } use g::H;
        #[cfg(test)] use i::J; #[cfg(test)] #[derive(Debug)] struct S { x: k::L } fn f() { m::n() }
        #[cfg(not(test))] use o::P;";

    let expected = [("a::B", false), ("c::D", true), ("e::F", true), ("g::H", false), ("i::J", true)];
    let expected = expected.into_iter().chain([("k::L", true), ("m::n", false), ("o::P", false)]);
    assert_eq!(mentioned("src/hook.rs", text), expected.map(|(a, b)| (a.to_owned(), b)).collect::<Vec<_>>());
}

#[test]
fn precise_capturing_is_no_import() {
    let text = "fn f() -> impl Stream<Item = crate::a::B> + Send + use<> { crate::c::d() }";

    assert_eq!(paths("src/docker.rs", text), ["crate::a::B", "crate::c::d"]);
}
