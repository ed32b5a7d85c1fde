//! Checks of WGSL against Rust without a GPU: every file belongs to a kernel, both sides of each binding
//! agree, and every backend's language can express it.

mod fxc;
mod layout;
mod translation;

use std::fs;
use std::path::Path;

use mtcmcn::for_each_kernel;
use mtcmcn::record::Kernel;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, front::wgsl};

/// Parses and validates WGSL for a device without optional features.
fn validate(source: &str) -> Result<(Module, ModuleInfo), String> {
    let module = wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(source))?;
    Ok((module, info))
}

/// Returns a kernel's source as the GPU engine compiles it.
fn source<K: Kernel>() -> String {
    K::WGSL.join("\n")
}

/// One WGSL file: folder below `shaders/`, stem and text.
struct File {
    folder: String,
    stem: String,
    text: String,
}

impl File {
    /// Returns the path as written in a kernel's header and in `wgsl!`.
    fn path(&self) -> String {
        format!("{}/{}", self.folder, self.stem)
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let stem = name(&path).strip_suffix(".wgsl").expect("only WGSL under shaders/").to_owned();
            found.push(File { folder: name(&folder), stem, text: fs::read_to_string(&path).unwrap() });
        }
    }
    found
}

/// Returns the name and the sources of every kernel of the list.
fn kernels() -> Vec<(&'static str, &'static [&'static str])> {
    let mut found: Vec<(&'static str, &'static [&'static str])> = Vec::new();
    macro_rules! visit {
        ($kernel:ty) => {
            found.push((<$kernel>::NAME, <$kernel>::WGSL));
        };
    }
    for_each_kernel!(visit);
    found
}

#[test]
fn every_file_is_one_kernels_and_every_kernel_has_its_file() {
    let (files, kernels) = (files(), kernels());
    let own: Vec<&File> = files.iter().filter(|file| file.folder != "shared").collect();
    assert!(own.len() > 10, "found only {} kernels under shaders/", own.len());
    assert_eq!(own.len(), kernels.len(), "files under shaders/ (without shared/) and kernels of for_each_kernel!");
    for file in own {
        let owners: Vec<_> = kernels.iter().filter(|(_, sources)| sources[0] == file.text).collect();
        assert_eq!(owners.len(), 1, "kernels whose own source is shaders/{}.wgsl", file.path());
        assert_eq!(owners[0].0, file.stem, "NAME of the kernel in shaders/{}.wgsl", file.path());
        let twin = format!("src/kernels/{}.rs", file.path());
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&twin).exists(), "{twin} is missing");
        assert!(file.text.contains(&format!("Twin: {twin}.")), "shaders/{}.wgsl does not name its twin", file.path());
    }
}

#[test]
fn headers_name_the_snippets_and_every_snippet_is_used() {
    let (files, kernels) = (files(), kernels());
    let snippets: Vec<&File> = files.iter().filter(|file| file.folder == "shared").collect();
    for snippet in &snippets {
        assert!(kernels.iter().any(|(_, sources)| sources[1..].contains(&snippet.text.as_str())), "no kernel calls {}", snippet.path());
    }
    for (name, sources) in kernels {
        let stem = |source: &&str| snippets.iter().find(|file| file.text == **source).expect("a file of shared/").stem.as_str();
        let used: Vec<&str> = sources[1..].iter().map(stem).collect();
        let named = sources[0].lines().take_while(|line| line.starts_with("//")).find_map(|line| line.split("Snippets: ").nth(1));
        let named: Vec<&str> = named.map_or_else(Vec::new, |list| list.trim_end_matches('.').split(", ").collect());
        assert_eq!(named, used, "{name}: snippets in the header and in WGSL");
    }
}

#[test]
fn every_kernel_is_valid_on_a_device_without_optional_features() {
    for (name, sources) in kernels() {
        validate(&sources.join("\n")).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn an_invalid_kernel_is_refused() {
    assert!(validate("@compute @workgroup_size(64) fn main() { undefined(); }").is_err());
    assert!(validate("enable f16; @compute @workgroup_size(64) fn main() { let x = 1.0h; }").is_err());
}
