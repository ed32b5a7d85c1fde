//! Prose is at most 110 columns wide: comments in sources and shaders, and the text of Markdown files.

use std::fs;
use std::path::{Path, PathBuf};

const WIDEST: usize = 110;

/// Whether `line` is wider than prose may be and could have been broken before: code spans and links are one
/// word each.
fn is_too_wide(line: &str) -> bool {
    let mut inside = false;
    let joined: String = line
        .chars()
        .map(|c| {
            inside ^= c == '`';
            if inside && c == ' ' { '_' } else { c }
        })
        .collect();
    let text = joined.trim_start().trim_start_matches(['/', '!', '-', '*', '#']).trim_start();
    let indent = joined.chars().count() - text.chars().count();
    let first = text.split(' ').next().unwrap_or_default().chars().count();
    joined.chars().count() > WIDEST && indent + first < WIDEST && text.contains(' ')
}

/// Prose of a source file or shader: comments alone in their line, but for tables, code and what is laid out
/// in columns.
fn comments(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    (1..).zip(source.lines()).filter(move |(_, line)| {
        let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
        let text = comment.trim_start_matches(['/', '!']);
        let fence = text.trim_start().starts_with("```");
        code ^= fence;
        !(code || fence || text.trim_start().starts_with('|') || text.trim().contains("  "))
    })
}

/// Prose of a Markdown file: neither code nor tables, headings, links on a line of their own, or quotations.
fn paragraphs(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    (1..).zip(source.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        let special = ["|", "#", ">", "<", "![", "    "].iter().any(|start| line.starts_with(start));
        !(code || fence || special || line.contains("]: "))
    })
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && !["target", ".git"].contains(&name.as_str()) {
            files(&entry, found);
        } else if [".rs", ".wgsl", ".md"].iter().any(|end| name.ends_with(end)) {
            found.push(entry);
        }
    }
}

#[test]
fn prose_is_not_too_wide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(root, &mut paths);
    assert!(paths.len() > 300, "only {} files", paths.len());
    let mut wide = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<(usize, &str)> =
            if path.extension().is_some_and(|end| end == "md") { paragraphs(&text).collect() } else { comments(&text).collect() };
        let found = lines.into_iter().filter(|(_, line)| is_too_wide(line));
        wide.extend(found.map(|(number, _)| format!("{}:{number}", path.strip_prefix(root).unwrap().display())));
    }
    assert!(wide.is_empty(), "wider than {WIDEST} columns:\n{}", wide.join("\n"));
}

#[test]
fn a_line_that_could_be_broken_is_found() {
    let words = "word ".repeat(30);
    assert!(is_too_wide(&format!("/// {words}")));
    assert!(!is_too_wide(&format!("/// {}", &words[..100])));
    assert!(!is_too_wide(&format!("/// {}", "x".repeat(120))));
    assert_eq!(comments(&format!("// {words}\n/// | {words}\nlet x = 1; // {words}")).count(), 1);
    assert_eq!(paragraphs(&format!("{words}\n| {words}\n```\n{words}\n```")).count(), 1);
}
