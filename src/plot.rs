//! Charts, each from one description to an SVG and a PNG that look alike.
//!
//! The SVG is drawn by plotters and the PNG rendered from it, with a font that is part of the program: no display, no font of the system and no
//! other program is needed, and the same description gives the same bytes on any machine.

mod draw;
mod raster;
mod ticks;

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// Why a chart could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// Drawing failed.
    #[error("drawing the chart {title:?}: {reason}")]
    Draw {
        /// The chart.
        title: String,
        /// What the library says.
        reason: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm; values of zero and less are left out.
    Log,
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    /// What is measured, with its unit.
    pub label: String,
    /// How values lie along it.
    pub scale: Scale,
    /// Least and greatest value shown; `None` fits them to the data.
    pub range: Option<[f64; 2]>,
}

impl Axis {
    /// An even axis that fits the data.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// The same axis by logarithms.
    #[must_use]
    pub fn log(self) -> Self {
        Self { scale: Scale::Log, ..self }
    }

    /// The same axis from `from` to `to`.
    #[must_use]
    pub fn range(self, from: f64, to: f64) -> Self {
        Self { range: Some([from, to]), ..self }
    }
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its entry in the legend.
    pub name: String,
    /// `[x, y]`, in order along the curve. A point that is not finite interrupts it.
    pub points: Vec<[f64; 2]>,
    /// Drawn in dashes and thinner: for other people's curves beside one's own.
    pub dashed: bool,
    /// A dot at each point.
    pub dots: bool,
}

impl Series {
    /// A solid curve.
    pub fn new(name: impl Into<String>, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }

    /// The same in dashes.
    #[must_use]
    pub fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    /// The same with a dot at each point.
    #[must_use]
    pub fn dots(self) -> Self {
        Self { dots: true, ..self }
    }
}

/// A horizontal line with a name, for a value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Written along the line.
    pub name: String,
    /// Where it crosses the y axis.
    pub y: f64,
}

/// Curves over a common x axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// The heading.
    pub title: String,
    /// A smaller line or lines below it, such as the setting that was measured; may be empty.
    pub note: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves, in the order of the legend. The first lie on top.
    pub series: Vec<Series>,
    /// Horizontal lines.
    pub references: Vec<Reference>,
}

/// One colour of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Its entry in the legend.
    pub name: String,
    /// One value a group; one that is not finite leaves a gap.
    pub values: Vec<f64>,
}

/// Groups of bars side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// The heading.
    pub title: String,
    /// A smaller line or lines below it; may be empty.
    pub note: String,
    /// What each group is called; `\n` breaks the line.
    pub groups: Vec<String>,
    /// The vertical axis. An even one begins at zero unless it has a range.
    pub y: Axis,
    /// The bars, in order within each group.
    pub bars: Vec<Bars>,
    /// Horizontal lines.
    pub references: Vec<Reference>,
}

/// What can be drawn.
pub trait Chart {
    /// The chart as an SVG document of 800 x 500 units.
    ///
    /// # Errors
    ///
    /// [`PlotError::Draw`] if the library fails.
    fn svg(&self) -> Result<String, PlotError>;

    /// The same as a PNG file of 1600 x 1000 pixels.
    ///
    /// # Errors
    ///
    /// As [`Chart::svg`].
    fn png(&self) -> Result<Vec<u8>, PlotError> {
        raster::png(&self.svg()?)
    }

    /// Writes `stem.svg` and `stem.png`, each whole or not at all, into a folder that exists; returns their paths.
    ///
    /// # Errors
    ///
    /// As [`Chart::svg`]; [`PlotError::File`] if a file cannot be written.
    fn save(&self, stem: &Path) -> Result<[PathBuf; 2], PlotError> {
        let svg = self.svg()?;
        let png = raster::png(&svg)?;
        let [svg_path, png_path] = ["svg", "png"].map(|extension| {
            let mut name = stem.as_os_str().to_owned();
            name.push(".");
            name.push(extension);
            PathBuf::from(name)
        });
        for (path, bytes) in [(&svg_path, svg.as_bytes()), (&png_path, &png[..])] {
            files::write_whole(path, bytes)?;
        }
        Ok([svg_path, png_path])
    }
}

impl Chart for LineChart {
    fn svg(&self) -> Result<String, PlotError> {
        draw::lines(self)
    }
}

impl Chart for BarChart {
    fn svg(&self) -> Result<String, PlotError> {
        draw::bars(self)
    }
}

#[cfg(test)]
mod tests;
