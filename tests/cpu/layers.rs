//! Checks the dependencies between layers under `src/` against the arrows of ARCHITECTURE.md.

use std::fs;
use std::path::Path;

/// Every layer with the layers it may use. A layer may always use itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("geometry", &[]),
    ("files", &[]),
    ("tensor", &[]),
    ("simd", &[]),
    ("record", &["tensor", "geometry"]),
    ("kernels", &["record", "simd", "tensor", "geometry"]),
    ("engine", &["record", "simd", "tensor", "geometry"]),
    ("weights", &["files", "formats", "tensor"]),
    ("formats", &[]),
    ("data", &["files", "formats", "geometry", "weights", "tensor"]),
    ("nets", &["files", "formats", "weights", "kernels", "record", "tensor"]),
    ("cascade", &["nets", "weights", "kernels", "engine", "record", "tensor", "geometry"]),
    ("picture", &["cascade", "geometry", "tensor"]),
    ("recognize", &["picture", "cascade", "nets", "weights", "engine", "record", "geometry"]),
    ("eval", &["data", "geometry"]),
    ("video", &["cascade", "geometry"]),
    ("plot", &["files"]),
    ("train", &["cascade", "picture", "data", "nets", "weights", "kernels", "engine", "record", "tensor", "geometry", "files"]),
    ("measure", &["nets", "kernels", "engine", "record", "tensor"]),
    ("doctor", &["cascade", "nets", "weights", "kernels", "engine", "record", "tensor", "geometry"]),
];

/// A package with the only folder that may name it.
const ONLY_IN: (&str, &str) = ("wgpu", "engine/gpu");

/// Returns the uses in `path` (below `src/`, with `/`) that are forbidden in its layer, line by line.
fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = code_lines(source);
    for (number, line) in &code {
        if !path.starts_with(ONLY_IN.1) && words(line).any(|word| word == ONLY_IN.0) {
            found.push(format!("{path}:{number}: only {} may name {}", ONLY_IN.1, ONLY_IN.0));
        }
    }
    let layer = path.split(['/', '.']).next().unwrap_or_default();
    // The crate root names every layer. The program is a crate of its own, so `crate::` refers to itself, and
    // the compiler keeps the rest private.
    let program = ["lib", "main", "cli"].contains(&layer);
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
        if !program {
            found.push(format!("{path}: no layer {layer:?} is known; give it a row in MAY_USE and ARCHITECTURE.md"));
        }
        return found;
    };
    let exported = exports(include_str!("../../src/lib.rs"));
    for (number, line) in &code {
        for used in used_by(line) {
            let used = exported.iter().find(|(name, _)| *name == used).map_or(used.as_str(), |(_, owner)| owner);
            if used != layer && !allowed.contains(&used) {
                found.push(format!("{path}:{number}: {layer} may not use {used}"));
            }
        }
    }
    found
}

/// Returns the names at the root of the crate with their layers: re-exports of `lib.rs`, and exported macros.
fn exports(lib: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        [("uniform", "record"), ("for_each_kernel", "kernels")].map(|(name, owner)| (name.to_owned(), owner.to_owned())).into();
    for (_, line) in code_lines(lib) {
        let Some((owner, rest)) = line.strip_prefix("pub use ").and_then(|line| line.split_once("::")) else { continue };
        found.extend(names(rest).into_iter().map(|name| (name, owner.to_owned())));
    }
    found
}

/// Returns the names of the crate root that a line uses, including those by way of `super`, which at the top
/// of a layer is the root.
fn used_by(line: &str) -> Vec<String> {
    let through_super = line.split("super::").skip(1).flat_map(names).filter(|name| MAY_USE.iter().any(|(layer, _)| layer == name));
    line.split("crate::").skip(1).flat_map(names).chain(through_super).collect()
}

/// Returns the names imported right after `crate::`: one name, or the first segments of a list in braces.
fn names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut depth = 0;
    let mut found = Vec::new();
    for part in list.split_inclusive(['{', '}', ',']) {
        if depth == 0 && !name(part).is_empty() {
            found.push(name(part));
        }
        depth += part.matches('{').count() as i32 - part.matches('}').count() as i32;
        if depth < 0 {
            break;
        }
    }
    found
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// Returns the lines of code with their numbers, without comments and with each `use` joined to one line.
pub fn code_lines(source: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.split("//").next().unwrap_or_default().trim();
        match lines.last_mut() {
            Some((_, whole)) if open => whole.push_str(line),
            _ => lines.push((number, line.to_owned())),
        }
        let begins = line.starts_with("use ") || (line.starts_with("pub") && words(line).any(|word| word == "use"));
        open = (open || begins) && !line.ends_with(';');
    }
    lines
}

/// Returns every file under `root` in order, with its path relative to `root`, with `/`.
pub fn sources(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below: Vec<_> = path.strip_prefix(root).expect("below src").iter().map(|part| part.to_string_lossy()).collect();
                found.push((below.join("/"), fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_arrow_points_down() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 30, "only {} files under src", files.len());
    let found: Vec<String> = files.iter().flat_map(|(path, source)| violations(path, source)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let bad = |path: &str, source: &str| violations(path, source).len();
    assert_eq!(bad("nets/layer.rs", "use crate::cascade::Config;"), 1);
    assert_eq!(bad("engine/mod.rs", "fn f() -> crate::kernels::nn::Conv {}"), 1);
    assert_eq!(bad("engine/mod.rs", "crate::for_each_kernel!(visit);"), 1);
    assert_eq!(bad("weights/store.rs", "use crate::{\n    tensor::{Shape, Tensor},\n    nets::Net,\n    engine,\n};"), 2);
    assert_eq!(bad("engine/mod.rs", "use super::cascade::Config;"), 1);
    assert_eq!(bad("nets/pnet.rs", "use crate::Config;"), 1);
    assert_eq!(bad("cascade/stage.rs", "fn f(device: &wgpu::Device) {}"), 1);
    assert_eq!(bad("cli/bench.rs", "use wgpu::Device;"), 1);
    assert_eq!(bad("secret/mod.rs", ""), 1);
}

#[test]
fn a_right_arrow_and_a_comment_are_left_alone() {
    let good = |path: &str, source: &str| assert_eq!(violations(path, source), Vec::<String>::new());
    good("engine/gpu/device.rs", "use crate::engine::{Device, EngineError};\nfn f(device: &wgpu::Device) {}");
    good("engine/compare.rs", "// as crate::cascade does with wgpu");
    good("kernels/nn/conv.rs", "crate::uniform! {");
    good("nets/layer.rs", "use crate::{kernels::{image, nn}, record::Recording};");
    good("doctor.rs", "use crate::{Config, Weights};\nuse super::*;");
    good("cli/bench.rs", "use crate::args::Args;");
}
