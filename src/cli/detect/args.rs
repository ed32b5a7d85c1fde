//! What can be typed after `mtcmcn detect`, and what it means.

use std::path::PathBuf;

use super::report::OutputFormat;
use crate::cli::settings::DetectorArgs;

/// Find faces in images
///
/// Reads JPEG, PNG, WebP, BMP, GIF and TIFF, recognised by content; turns them upright as EXIF says; ignores alpha. Prints, for each
/// image in the order given, the faces found, best first. Coordinates are pixels of the upright image, with the origin at its top-left
/// corner. Scores are in (0, 1].
#[derive(Debug, clap::Args)]
#[command(after_help = crate::cli::EXIT_CODES)]
pub struct DetectArgs {
    /// Images, or directories to search for images (recursively, in order of name, hidden files passed over); `-` reads a list of
    /// paths from standard input, one a line
    #[arg(value_name = "PATH", required_unless_present = "list")]
    pub paths: Vec<PathBuf>,

    /// File with more paths, one a line; taken after every PATH
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,

    /// Print one JSON object a line and image: path, width, height, faces (box, score, landmarks), truncated; or path, error
    #[arg(long, conflicts_with = "csv", help_heading = "Output")]
    json: bool,

    /// Print CSV: a header, then one row a face
    #[arg(long, help_heading = "Output")]
    csv: bool,

    /// Write a PNG copy of every image to this directory, with boxes, landmarks and scores drawn on it
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub annotate: Option<PathBuf>,

    /// Write every face to this directory, aligned by its landmarks and cropped to 112x112, as `NAME_1.png` and so on
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub crops: Option<PathBuf>,

    /// Clip boxes to the image; they may reach outside it otherwise
    #[arg(long, help_heading = "Output")]
    pub clip: bool,

    #[command(flatten)]
    pub detector: DetectorArgs,
}

impl DetectArgs {
    /// How results are to be printed.
    pub fn format(&self) -> OutputFormat {
        match (self.json, self.csv) {
            (true, _) => OutputFormat::Json,
            (_, true) => OutputFormat::Csv,
            _ => OutputFormat::Table,
        }
    }
}
