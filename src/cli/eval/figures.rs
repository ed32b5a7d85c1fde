//! What a protocol gives, and how it is printed: a table for people, one JSON object for machines, curves as
//! pictures.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mtcmcn::data::Faults;
use mtcmcn::data::fddb::Ellipse;
use mtcmcn::geometry::{BoundingBox, Landmarks};
use mtcmcn::plot::{Chart as _, LineChart};
use serde_json::{Map, Value, json};

use super::html::escaped;
use super::setting::Setting;

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// How many.
    Count(usize),
    /// A figure; one that is not a number is shown as `-`.
    Figure(f64),
}

impl Cell {
    fn text(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Figure(figure) if figure.is_finite() => format!("{figure:.4}"),
            Self::Figure(_) => "-".to_owned(),
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Count(count) => json!(count),
            Self::Figure(figure) => json!(figure),
        }
    }
}

/// A column by its name in JSON and its heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    key: String,
    heading: String,
}

impl Column {
    /// A column.
    pub fn new(key: impl Into<String>, heading: impl Into<String>) -> Self {
        Self { key: key.into(), heading: heading.into() }
    }
}

/// Something drawn over a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarkShape {
    Box(BoundingBox),
    Ellipse(Ellipse),
    Points(Landmarks),
}

/// In which colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkRole {
    /// Annotated.
    Truth,
    /// Detected.
    Found,
}

/// A miss, a false alarm or a bad landmark to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The image below the folder of images.
    pub path: String,
    /// What it is about.
    pub focus: BoundingBox,
    pub caption: String,
    pub marks: Vec<(MarkRole, MarkShape)>,
}

/// The figures of one protocol on one set.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub protocol: &'static str,
    /// The annotations.
    pub set: String,
    /// With what it was detected, or from which file it comes.
    pub origin: String,
    pub setting: Option<Setting>,
    /// How many images, faces and the like.
    pub counts: Vec<(&'static str, usize)>,
    /// What a reader has to know to compare the figures.
    pub notes: Vec<String>,
    pub columns: Vec<Column>,
    pub rows: Vec<(String, Vec<Cell>)>,
    /// By the name of their file.
    pub charts: Vec<(&'static str, LineChart)>,
    /// Under headings, the worst first.
    pub examples: Vec<(&'static str, Vec<Example>)>,
    /// Where the images are.
    pub images: Option<PathBuf>,
}

impl Figures {
    /// The table.
    pub fn text(&self) -> String {
        let mut text = format!("{} on {}\n{}\n", self.protocol, self.set, self.origin);
        let _ = writeln!(text, "{}\n", self.counts_text());
        let first = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(at)).map(|cell| cell.text().len());
                cells.chain([self.columns[at].heading.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let mut line = |name: &str, cells: Vec<String>| {
            let _ = write!(text, "{name:first$}");
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(text, "  {cell:>width$}");
            }
            text.push('\n');
        };
        line("", self.columns.iter().map(|column| column.heading.clone()).collect());
        for (name, cells) in &self.rows {
            line(name, cells.iter().map(|cell| cell.text()).collect());
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}");
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text
    }

    /// How many there are of what: `1 image, 2 faces`.
    pub fn counts_text(&self) -> String {
        self.counts.iter().map(|(what, count)| counted(*count, what)).collect::<Vec<_>>().join(", ")
    }

    /// The same as one JSON object and the end of its line.
    pub fn json(&self, faults: &Faults) -> Result<String> {
        let row = |(name, cells): &(String, Vec<Cell>)| {
            let mut row = Map::from_iter([("part".to_owned(), json!(name))]);
            row.extend(self.columns.iter().zip(cells).map(|(column, cell)| (column.key.clone(), cell.value())));
            Value::Object(row)
        };
        let curve = |(name, chart): &(&str, LineChart)| {
            let series: Vec<_> = chart.series.iter().map(|series| json!({"name": series.name, "points": series.points})).collect();
            ((*name).to_owned(), json!({"x": chart.x.label, "y": chart.y.label, "series": series}))
        };
        let mut object = Map::from_iter([
            ("protocol".to_owned(), json!(self.protocol)),
            ("set".to_owned(), json!(self.set)),
            ("detections".to_owned(), json!(self.origin)),
            ("setting".to_owned(), serde_json::to_value(&self.setting)?),
            ("rows".to_owned(), self.rows.iter().map(row).collect()),
            ("curves".to_owned(), Value::Object(self.charts.iter().map(curve).collect())),
            ("notes".to_owned(), json!(self.notes)),
            ("faults".to_owned(), json!({"skipped": faults.skipped(), "noted": faults.noted()})),
        ]);
        object.insert(
            "counts".to_owned(),
            Value::Object(self.counts.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect()),
        );
        Ok(serde_json::to_string(&object)? + "\n")
    }

    /// The table for a page.
    pub fn html_table(&self) -> String {
        let row = |tag: &str, first: &str, cells: &[String]| {
            let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
            format!("<tr><{tag}>{}</{tag}>{cells}</tr>\n", escaped(first))
        };
        let head = row("th", "", &self.columns.iter().map(|column| column.heading.clone()).collect::<Vec<_>>());
        let texts = |cells: &[Cell]| cells.iter().map(|cell| cell.text()).collect::<Vec<_>>();
        let body: String = self.rows.iter().map(|(name, cells)| row("td", name, &texts(cells))).collect();
        format!("<table>\n{head}{body}</table>\n")
    }

    /// Writes every chart into `directory`.
    pub fn plot(&self, directory: &Path) -> Result<()> {
        for (name, chart) in &self.charts {
            chart.save(&directory.join(name))?;
        }
        Ok(())
    }
}

/// `count` of `what`, which is told in the plural.
pub fn counted(count: usize, what: &str) -> String {
    let one = match what {
        "misses" => "miss",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    format!("{count} {}", if count == 1 { one } else { what })
}
