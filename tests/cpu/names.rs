//! Every type has one name: two types of one name cannot both be what a reader takes it for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::layers::sources;

/// Names that still stand for several types, each with how many. Nothing is added here: a new type takes a name of its own.
const SEVERAL: &[(&str, usize)] = &[];

/// The type that a line of code declares. An associated type is none: it is told from an alias by standing inside something.
fn declared(line: &str) -> Option<&str> {
    let inside = line.starts_with(char::is_whitespace);
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe" || word.ends_with(')'));
    let kind = words.next()?;
    if !["struct", "enum", "union", "trait"].contains(&kind) && (kind != "type" || inside) {
        return None;
    }
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

/// Types by name, with the places where they are declared, of files with their paths.
fn declarations<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, source) in files {
        for (number, line) in (1..).zip(source.lines()) {
            let line = line.split("//").next().unwrap_or_default();
            if let Some(name) = declared(line) {
                found.entry(name.to_owned()).or_default().push(format!("{path}:{number}"));
            }
        }
    }
    found
}

/// What is wrong, one line each: a name that more types have than `allowed` says, or fewer.
fn shared(found: &BTreeMap<String, Vec<String>>, allowed: &[(&str, usize)]) -> Vec<String> {
    let may = |name: &str| allowed.iter().find(|(known, _)| *known == name).map_or(1, |(_, count)| *count);
    let mut wrong: Vec<String> = found
        .iter()
        .filter(|(name, places)| places.len() > may(name))
        .map(|(name, places)| format!("{name} is declared {} times: {}", places.len(), places.join(", ")))
        .collect();
    for (name, count) in allowed {
        let places = found.get(*name).map_or(0, Vec::len);
        if places < *count {
            wrong.push(format!("{name} is declared {places} times, SEVERAL says {count}: correct it, or strike it out"));
        }
    }
    wrong
}

#[test]
fn every_type_has_a_name_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    let found = declarations(files.iter().map(|(path, source)| (path.as_str(), source.as_str())));
    assert!(found.len() > 300, "only {} types under src", found.len());
    let wrong = shared(&found, SEVERAL);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_type_of_a_name_is_found() {
    let files = [
        ("a.rs", "pub struct Run<'a> {\n    of: &'a str,\n}\npub(super) trait Play {\n    type Output;\n}"),
        ("b.rs", "uniform! {\n    pub struct Run { n: u32 }\n}\n// struct Play;\nimpl Play for Run {\n    type Output = u32;\n}"),
        ("c.rs", "enum Play { One }\ntype Output = u8;\nstruct $name;\nmod tests {\n    struct Own;\n}"),
    ];
    let found = declarations(files);
    let wrong = shared(&found, &[]);
    assert_eq!(wrong, ["Play is declared 2 times: a.rs:4, c.rs:1", "Run is declared 2 times: a.rs:1, b.rs:2"]);
    assert_eq!(shared(&found, &[("Run", 2), ("Play", 2)]), Vec::<String>::new());
    assert_eq!(shared(&found, &[("Run", 2), ("Play", 3)]).len(), 1);
}
