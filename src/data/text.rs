//! What the line formats share: lines, fields, and blocks of a name, a count and as many rows.

use std::collections::HashMap;

use super::{DataError, FileFaults};
use crate::geometry::{BoundingBox, Landmarks};
use glam::Vec2;

/// Beyond any image: larger coordinates are a fault.
const MAX_COORDINATE: f64 = 1e6;

/// A line that says something.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextLine<'a> {
    /// From 1.
    pub(super) number: usize,
    /// Without blanks at either end.
    pub(super) text: &'a str,
}

impl<'a> TextLine<'a> {
    /// What stands between blanks.
    pub(super) fn fields(self) -> impl Iterator<Item = &'a str> {
        self.text.split_ascii_whitespace()
    }

    /// The whole line as one count.
    pub(super) fn count(self) -> Option<usize> {
        self.text.parse().ok()
    }

    /// All fields as numbers, finite and within the bounds of any image; or what is wrong.
    pub(super) fn numbers(self) -> Result<Vec<f64>, String> {
        self.fields().map(number).collect()
    }

    /// Whether this is meant as a row of at least `fields` numbers: most of it is numbers, and it does not
    /// end as the names of images do.
    fn is_row(self, fields: usize) -> bool {
        if super::image_key(self.text).len() < super::image_path(self.text).len() {
            return false;
        }
        let numbers = self.fields().filter(|field| field.parse::<f64>().is_ok()).count();
        let all = self.fields().count();
        all >= fields && 2 * numbers > all
    }
}

/// The lines of `bytes` that are not blank. A byte order mark, CRLF and blanks at the ends of lines are taken
/// away.
///
/// Reported: a file without lines, and each line that is not UTF-8.
pub(super) fn lines<'a>(bytes: &'a [u8], faults: &mut FileFaults) -> Result<Vec<TextLine<'a>>, DataError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        match std::str::from_utf8(line).map(str::trim) {
            Ok("") => {}
            Ok(text) => lines.push(TextLine { number, text }),
            Err(_) => faults.skipped(number, "not UTF-8 text: line skipped")?,
        }
    }
    if lines.is_empty() {
        faults.noted(0, "is empty")?;
    }
    Ok(lines)
}

/// `field` as a finite number within the bounds of any image; or what is wrong.
pub(super) fn number(field: &str) -> Result<f64, String> {
    match field.parse::<f64>() {
        Ok(value) if value.abs() <= MAX_COORDINATE => Ok(value),
        Ok(value) => Err(format!("{value} is not within ±{MAX_COORDINATE}")),
        Err(_) => Err(format!("{field:?} is not a number")),
    }
}

/// The box at `(x, y)` with these sides; or what is wrong.
pub(super) fn box_of_sides(x: f64, y: f64, width: f64, height: f64) -> Result<BoundingBox, String> {
    box_of_edges(x, y, x + width, y + height).map_err(|_| format!("a box of {width} x {height} has no area"))
}

/// The box with these edges; or what is wrong.
pub(super) fn box_of_edges(x1: f64, y1: f64, x2: f64, y2: f64) -> Result<BoundingBox, String> {
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|edge| edge as f32);
    let found = BoundingBox { x1, y1, x2, y2 };
    if found.width() > 0.0 && found.height() > 0.0 && [x1, y1, x2, y2].iter().all(|edge| edge.is_finite()) {
        Ok(found)
    } else {
        Err(format!("a box from ({x1}, {y1}) to ({x2}, {y2}) has no area"))
    }
}

/// Five points of `x y x y ...`.
pub(super) fn points_of_pairs(values: &[f64; 10]) -> Landmarks {
    std::array::from_fn(|k| Vec2::new(values[2 * k] as f32, values[2 * k + 1] as f32))
}

/// A name with its rows.
#[derive(Debug)]
pub(super) struct NamedRows<'l, 'a> {
    /// The line that names the image.
    pub(super) name: TextLine<'a>,
    /// As many rows as the count said.
    pub(super) rows: &'l [TextLine<'a>],
}

/// The blocks of a name, a count and as many rows of at least `fields` numbers. A block whose count is not a
/// number or is not that of the rows after it is reported and skipped, and the reading goes on at the next
/// name.
///
/// A count of 0 may be followed by one row of zeros if `zeros`.
pub(super) fn blocks<'l, 'a>(
    lines: &'l [TextLine<'a>],
    fields: usize,
    zeros: bool,
    faults: &mut FileFaults,
) -> Result<Vec<NamedRows<'l, 'a>>, DataError> {
    let mut found = Vec::new();
    let mut rest = lines;
    // A name may be all numbers, without an extension: then a count follows it, as none follows a row.
    let is_name = |lines: &[TextLine], at: usize| lines.get(at + 1).is_some_and(|line| line.count().is_some());
    while let Some((&name, after)) = rest.split_first() {
        if name.is_row(fields) && !is_name(rest, 0) {
            let skipped = (0..after.len()).take_while(|&at| after[at].is_row(fields) && !is_name(after, at)).count();
            let what = format!("a row of numbers where an image should be named: {} row(s) skipped", skipped + 1);
            faults.skipped(name.number, what)?;
            rest = &after[skipped..];
            continue;
        }
        let Some((&count_line, after)) = after.split_first() else {
            faults.skipped(name.number, format!("the file ends after the name {:?}: image skipped", name.text))?;
            break;
        };
        let Some(count) = count_line.count() else {
            faults.skipped(
                count_line.number,
                format!("{:?} is not the number of faces of {:?}: image skipped", count_line.text, name.text),
            )?;
            // The line may be the next name, or a row.
            let rows = if count_line.is_row(fields) { after.iter().take_while(|line| line.is_row(fields)).count() + 1 } else { 0 };
            rest = &rest[1 + rows..];
            continue;
        };
        let there = after.iter().take_while(|line| line.is_row(fields)).count();
        let there = if there > count && is_name(after, count) { count } else { there };
        let (rows, behind) = after.split_at(there);
        rest = behind;
        let placeholder = zeros && count == 0 && there == 1 && rows[0].fields().all(|field| field.parse() == Ok(0.0));
        if placeholder {
            found.push(NamedRows { name, rows: &[] });
        } else if there == count {
            found.push(NamedRows { name, rows });
        } else {
            let what = format!("{count} face(s) promised for {:?}, {there} row(s) follow: image skipped", name.text);
            faults.skipped(count_line.number, what)?;
        }
    }
    Ok(found)
}

/// Names that were met, with their lines.
#[derive(Debug, Default)]
pub(super) struct SeenNames(HashMap<String, usize>);

impl SeenNames {
    /// Whether `name` is new; if not, that is reported.
    pub(super) fn is_new(&mut self, name: &str, line: usize, faults: &mut FileFaults) -> Result<bool, DataError> {
        if let Some(first) = self.0.get(name) {
            faults.skipped(line, format!("{name:?} was there already at line {first}: skipped"))?;
            return Ok(false);
        }
        self.0.insert(name.to_owned(), line);
        Ok(true)
    }
}
