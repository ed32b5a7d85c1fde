//! Charts, each rendered from one description as an SVG and as a PNG that look alike.
//!
//! The SVG is drawn by plotters, and the PNG is rendered from it with a font that is embedded in the program.
//! No display, system font or other program is needed, and the same description yields the same bytes on any
//! machine.

mod draw;
mod raster;
mod ticks;

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// Error for a chart that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// Drawing failed.
    #[error("drawing the chart {title:?}: {reason}")]
    Draw {
        /// Title of the chart.
        title: String,
        /// Error message of the library.
        reason: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Linear scale.
    #[default]
    Linear,
    /// Logarithmic scale; values of zero and less are left out.
    Log,
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    /// Name of the quantity, with its unit.
    pub label: String,
    /// Scale of the axis.
    pub scale: Scale,
    /// Lowest and highest value shown; `None` fits them to the data.
    pub range: Option<[f64; 2]>,
}

impl Axis {
    /// Creates a linear axis that fits the data.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Returns the axis with a logarithmic scale.
    #[must_use]
    pub fn log(self) -> Self {
        Self { scale: Scale::Log, ..self }
    }

    /// Returns the axis with a range from `from` to `to`.
    #[must_use]
    pub fn range(self, from: f64, to: f64) -> Self {
        Self { range: Some([from, to]), ..self }
    }
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Entry in the legend.
    pub name: String,
    /// Points `[x, y]` in order along the curve. A point that is not finite interrupts the curve.
    pub points: Vec<[f64; 2]>,
    /// Whether the curve is dashed and thinner, for results of others shown for comparison.
    pub dashed: bool,
    /// Whether each point is marked by a dot.
    pub dots: bool,
}

impl Series {
    /// Creates a solid curve.
    pub fn new(name: impl Into<String>, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }

    /// Returns the curve with dashes.
    #[must_use]
    pub fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    /// Returns the curve with a dot at each point.
    #[must_use]
    pub fn dots(self) -> Self {
        Self { dots: true, ..self }
    }
}

/// A horizontal line with a name, for a value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Name, written along the line.
    pub name: String,
    /// Value on the y axis.
    pub y: f64,
}

/// Curves over a common x axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// Title of the chart.
    pub title: String,
    /// Smaller text below the title, of one or more lines, such as the setting that was measured; may be
    /// empty.
    pub note: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves, in the order of the legend. Earlier curves are drawn on top of later ones.
    pub series: Vec<Series>,
    /// Horizontal reference lines.
    pub references: Vec<Reference>,
}

/// Bars of one colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Entry in the legend.
    pub name: String,
    /// One value per group; a value that is not finite leaves a gap.
    pub values: Vec<f64>,
}

/// Groups of bars side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// Title of the chart.
    pub title: String,
    /// Smaller text below the title, of one or more lines; may be empty.
    pub note: String,
    /// Names of the groups; `\n` breaks the line.
    pub groups: Vec<String>,
    /// The vertical axis. A linear axis begins at zero unless it has a range.
    pub y: Axis,
    /// The bars, in order within each group.
    pub bars: Vec<Bars>,
    /// Horizontal reference lines.
    pub references: Vec<Reference>,
}

/// A chart that can be drawn.
pub trait Chart {
    /// Renders the chart as an SVG document of 800 x 500 units.
    ///
    /// # Errors
    ///
    /// [`PlotError::Draw`] if the library fails.
    fn svg(&self) -> Result<String, PlotError>;

    /// Renders the chart as a PNG file of 1600 x 1000 pixels.
    ///
    /// # Errors
    ///
    /// As for [`Chart::svg`].
    fn png(&self) -> Result<Vec<u8>, PlotError> {
        raster::png(&self.svg()?)
    }

    /// Writes `stem.svg` and `stem.png` into an existing folder, each atomically; returns their paths.
    ///
    /// # Errors
    ///
    /// As for [`Chart::svg`]; [`PlotError::File`] if a file cannot be written.
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
