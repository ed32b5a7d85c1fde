//! One page with everything: figures, curves, and what went wrong.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mtcmcn::data::Faults;
use mtcmcn::files;
use mtcmcn::plot::Chart as _;
use rayon::prelude::*;

use super::figures::{Example, Figures};
use super::html::escaped;
use super::picture;
use crate::cli::explain;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d1d1f; --faint: #6b6b70; --line: #d9d9de; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --faint: #9a9aa0; --line: #3a3a40; --paper: #17171a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.faint, figcaption { color: var(--faint); } table { border-collapse: collapse; } td, th { padding: .25rem .9rem; text-align: right; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; padding-left: 0; } .charts svg { width: 100%; max-width: 800px; height: auto; background: #fff; border: 1px solid var(--line); margin: .5rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1rem; } figure { margin: 0; } figure img { width: 100%; border-radius: 3px; }
.wide { overflow-x: auto; } .wide td, .wide th { white-space: nowrap; }
@media (max-width: 600px) { body { margin: 1rem auto; padding: 0 .7rem; } .grid { grid-template-columns: repeat(2, 1fr); gap: .6rem; } td, th { padding: .25rem .5rem; } h1, p { overflow-wrap: anywhere; } }
figcaption { font-size: 12px; overflow-wrap: anywhere; } .truth { color: #1f9d42; } .found { color: #e0362c; } li { overflow-wrap: anywhere; }
";

/// Faults listed on the page.
const MOST_FAULTS: usize = 200;

/// Writes `index.html` into `directory`.
///
/// # Errors
///
/// If it cannot be written. An example whose image cannot be read is named in its place.
pub fn write(directory: &Path, figures: &Figures, faults: &Faults) -> Result<()> {
    let path = directory.join("index.html");
    let page = page(figures, faults)?;
    files::write_whole(&path, page.as_bytes()).context("--report")
}

fn page(figures: &Figures, faults: &Faults) -> Result<String> {
    let title = format!("{} on {}", figures.protocol, figures.set);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p class=\"faint\">{1}<br>{2}</p>\n",
        escaped(&title),
        escaped(&figures.origin),
        escaped(&figures.counts_text()),
    );
    let _ = write!(html, "<div class=\"wide\">\n{}</div>\n", figures.html_table());
    for note in &figures.notes {
        let _ = writeln!(html, "<p class=\"faint\">{}</p>", escaped(note));
    }
    html += "<div class=\"charts\">\n";
    for (_, chart) in &figures.charts {
        html += &chart.svg()?;
    }
    html += "</div>\n";
    for (heading, examples) in &figures.examples {
        let _ = writeln!(html, "<h2>{}</h2>", escaped(heading));
        html += &gallery(figures, examples);
    }
    if !faults.is_empty() {
        let _ = writeln!(
            html,
            "<h2>Faults of the files</h2>\n<p class=\"faint\">{} left out, {} odd but used</p>\n<ul>",
            faults.skipped(),
            faults.noted()
        );
        for fault in faults.list().iter().take(MOST_FAULTS) {
            let _ = writeln!(html, "<li>{}</li>", escaped(&fault.to_string()));
        }
        html += "</ul>\n";
    }
    Ok(html + "</body></html>\n")
}

fn gallery(figures: &Figures, examples: &[Example]) -> String {
    let Some(folder) = figures.images.as_deref().filter(|_| !examples.is_empty()) else {
        let why = if examples.is_empty() { "None." } else { "Not drawn: the images are not at hand (--images)." };
        return format!("<p class=\"faint\">{why}</p>\n");
    };
    let figure = |example: &Example| {
        let caption = escaped(&format!("{} · {}", example.caption, example.path));
        match picture::jpeg(folder, example) {
            Ok(bytes) => {
                let data = STANDARD.encode(bytes);
                format!("<figure><img alt=\"\" src=\"data:image/jpeg;base64,{data}\"><figcaption>{caption}</figcaption></figure>\n")
            }
            Err(error) => format!("<figure><figcaption>{caption}: {}</figcaption></figure>\n", escaped(&explain(&error))),
        }
    };
    let figures: Vec<String> = examples.par_iter().map(figure).collect();
    let legend = "<p class=\"faint\"><span class=\"truth\">annotated</span>, <span class=\"found\">detected</span></p>";
    format!("{legend}<div class=\"grid\">\n{}</div>\n", figures.concat())
}
