//! Inside the rooms of `src/`: files and folders of one folder use each other in one direction only.
//!
//! What a folder's door (`mod.rs`, or the file beside it of its name) only passes on counts as used where it is written. What the door itself
//! declares lies below its folder, so that using it makes no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::layers::{code_lines, sources};

/// Names from the crate's root down.
type ModulePath = Vec<String>;

/// A file as this test sees it.
struct File<'a> {
    path: &'a str,
    module: ModulePath,
    lines: Vec<(usize, String)>,
}

/// Module of the file `path` below `src/`; both roots are the root.
fn module(path: &str) -> ModulePath {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let parts = stem.split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    parts.map(str::to_owned).collect()
}

/// Paths that begin at `rest`, with the braces of a list multiplied out; where one has `as`, its new name stands behind it.
fn tree(rest: &mut &str, begun: &[String], found: &mut Vec<ModulePath>) {
    let mut path = begun.to_vec();
    loop {
        *rest = rest.trim_start();
        if let Some(list) = rest.strip_prefix('{') {
            *rest = list;
            loop {
                *rest = rest.trim_start().trim_start_matches(',').trim_start();
                match rest.strip_prefix('}') {
                    Some(after) => {
                        *rest = after;
                        return;
                    }
                    None if rest.is_empty() => return,
                    None => tree(rest, &path, found),
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            // A star, or something that is no path: do not stand still.
            *rest = rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
            break;
        }
        path.push(rest[..end].to_owned());
        *rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(after) => *rest = after,
            None => break,
        }
    }
    if path.len() > begun.len() {
        found.push(path);
    }
}

/// Paths in a line of code that begin with `crate`, `super` or `self`; of a `use` every path.
fn paths(line: &str) -> Vec<ModulePath> {
    let mut found = Vec::new();
    if let Some((before, mut rest)) = line.split_once("use ")
        && (before.is_empty() || before.starts_with("pub"))
    {
        tree(&mut rest, &[], &mut found);
        return found;
    }
    let mut rest = line;
    while let Some(at) = ["crate::", "super::", "self::"].iter().filter_map(|start| rest.find(start)).min() {
        let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        rest = &rest[at..];
        if begins {
            tree(&mut rest, &[], &mut found);
        } else {
            rest = &rest["self::".len()..];
        }
    }
    found
}

/// All modules with what they pass on: name and the path that it stands for.
type Modules = BTreeMap<ModulePath, BTreeMap<String, ModulePath>>;

fn modules(files: &[File<'_>]) -> Modules {
    let mut found = Modules::new();
    for file in files {
        // A folder is a module whether or not its door is among the files.
        (0..file.module.len()).for_each(|end| _ = found.entry(file.module[..end].to_vec()).or_default());
        let passed_on = found.entry(file.module.clone()).or_default();
        for (_, line) in file.lines.iter().filter(|(_, line)| line.starts_with("pub") && line.contains("use ")) {
            passed_on.extend(paths(line).into_iter().filter_map(|path| Some((path.last()?.clone(), path))));
        }
    }
    found
}

/// The module in which what `path`, seen from `from`, names is written; `None` if that is another crate.
fn resolved(modules: &Modules, from: &[String], path: &[String], depth: u32) -> Option<ModulePath> {
    let mut at = from.to_vec();
    let mut rest = path;
    let first = rest.first()?;
    match first.as_str() {
        "crate" => (at, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        _ => {
            let child = [from, std::slice::from_ref(first)].concat();
            if !modules.contains_key(&child) {
                return None;
            }
        }
    }
    for part in rest {
        let child = [&at[..], std::slice::from_ref(part)].concat();
        if modules.contains_key(&child) {
            at = child;
            continue;
        }
        let passed_on = modules.get(&at).and_then(|names| names.get(part));
        return match passed_on {
            Some(path) if depth < 8 => resolved(modules, &at, path, depth + 1),
            _ => Some(at),
        };
    }
    Some(at)
}

/// By room and then by what lies in it: what else of the room that uses, with a place where it does.
type Uses = BTreeMap<ModulePath, BTreeMap<String, BTreeMap<String, String>>>;

fn uses(files: &[File<'_>]) -> Uses {
    let modules = modules(files);
    let mut found = Uses::new();
    for file in files {
        for (number, line) in &file.lines {
            for path in paths(line) {
                let Some(target) = resolved(&modules, &file.module, &path, 0) else { continue };
                let shared = file.module.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if let (Some(own), Some(other)) = (file.module.get(shared), target.get(shared)) {
                    let room = found.entry(target[..shared].to_vec()).or_default();
                    let place = format!("{}:{number} uses {}", file.path, path.join("::"));
                    room.entry(own.clone()).or_default().entry(other.clone()).or_insert(place);
                }
            }
        }
    }
    found
}

/// A way from `at` back to `goal`, as the places on it.
fn way_back(room: &BTreeMap<String, BTreeMap<String, String>>, at: &str, goal: &str, seen: &mut BTreeSet<String>) -> Option<Vec<String>> {
    for (next, place) in room.get(at)? {
        if next == goal {
            return Some(vec![place.clone()]);
        }
        if seen.insert(next.clone())
            && let Some(mut way) = way_back(room, next, goal, seen)
        {
            way.insert(0, place.clone());
            return Some(way);
        }
    }
    None
}

/// The circles among files with their sources: one for each file or folder that is in one.
fn circles<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    // A folder's tests may use all of it.
    let files = files.into_iter().filter(|(path, _)| !path.ends_with("tests.rs"));
    let files = files.map(|(path, source)| {
        let code = source.split("\nmod tests {").next().unwrap_or_default();
        File { path, module: module(path), lines: code_lines(code) }
    });
    let uses = uses(&files.collect::<Vec<_>>());
    let all = uses.iter().flat_map(|(name, room)| room.keys().map(move |own| (name, room, own)));
    let circle = |(name, room, own): (&ModulePath, _, &String)| {
        let way = way_back(room, own, own, &mut BTreeSet::new())?;
        Some(format!("src/{}: {own} uses itself\n    {}", name.join("/"), way.join("\n    ")))
    };
    all.filter_map(circle).collect()
}

#[test]
fn no_room_has_a_circle() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let found = circles(files.iter().map(|(path, source)| (path.as_str(), source.as_str())));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let propose = ("cascade/propose.rs", "use super::plan::{Budget, Plan};\npub enum Depth {}");
    let count = |files: &[(&'static str, &'static str)]| circles(files.iter().copied()).len();
    assert_eq!(count(&[("cascade/plan.rs", "use super::propose::Depth;"), propose]), 2);
    // Within a body, by way of the door, and through a list in braces.
    assert_eq!(count(&[("cascade/plan.rs", "fn f(_: crate::cascade::propose::Depth) {}"), propose]), 2);
    let door = ("cascade/mod.rs", "mod plan;\nmod propose;\npub use propose::{Depth,\n    Proposer};");
    assert_eq!(count(&[("cascade/plan.rs", "use super::Depth;"), propose, door]), 2);
    assert_eq!(count(&[("cascade/plan.rs", "use crate::{\n    files,\n    cascade::{Config, Depth as D},\n};"), propose, door]), 2);
    // Between folders, over three files, between layers.
    let crops = ("train/crops/search.rs", "use crate::train::run::Cause;");
    assert_eq!(count(&[crops, ("train/run.rs", "use super::crops::search::Found;")]), 2);
    let three = [("a/x.rs", "use super::y::Y;"), ("a/y.rs", "use super::z::Z;"), ("a/z.rs", "use super::x::X;")];
    assert_eq!(count(&three), 3);
    assert_eq!(count(&[("a/x.rs", "use crate::b::Y;"), ("b.rs", "fn f() -> crate::a::x::X {}")]), 2);
}

#[test]
fn a_straight_way_and_a_door_are_left_alone() {
    let good = |files: &[(&'static str, &'static str)]| assert_eq!(circles(files.iter().copied()), Vec::<String>::new());
    good(&[("cascade/propose.rs", "use super::plan::Depth;"), ("cascade/plan.rs", "use std::fmt;\npub enum Depth {}")]);
    good(&[("train/mod.rs", "mod step;\npub use step::Trainer;\npub enum Error {}"), ("train/step.rs", "use super::Error;")]);
    good(&[
        ("a/x.rs", "use super::y::Y;\n#[cfg(test)]\nmod tests {\n    use super::super::z;\n}"),
        ("a/y.rs", ""),
        ("a/z.rs", "use super::x::X;"),
    ]);
    good(&[("a/x.rs", "use super::y::Y; // super::z"), ("a/x/tests.rs", "use crate::a::y::Y;"), ("a/y.rs", "use wgpu::x;")]);
}
