//! What can be typed after `mtcmcn detect`, and what it means.

use std::path::PathBuf;
use std::str::FromStr;

use super::report::{MoreColumns, OutputFormat};
use crate::cli::settings::DetectorArgs;

/// Find faces in images and videos
///
/// Reads JPEG, PNG, WebP, AVIF, BMP, GIF and TIFF, recognised by content; turns them upright as their
/// metadata say; ignores alpha. Reads whatever video ffmpeg does, if that is installed: files by the endings
/// of their names, streams by their addresses, cameras. Prints, for each image or frame in the order given,
/// the faces found, best first; in a video each with the number of its track, which it keeps. Coordinates are
/// pixels of the upright image, with the origin at its top-left corner. Scores are in (0, 1].
#[derive(Debug, clap::Args)]
#[command(after_help = crate::cli::EXIT_CODES)]
pub struct DetectArgs {
    /// Images, or directories to search for images (recursively, in order of name, hidden files and videos
    /// passed over); videos as `film.mp4`, `rtsp://host/stream`, `camera` or `camera:N`;
    /// `-` reads an image from standard input, or a list of paths, one a line or each ended by a zero byte
    /// (`find -print0`)
    #[arg(value_name = "PATH", required_unless_present = "list")]
    pub paths: Vec<PathBuf>,

    /// File with more paths, one a line or each ended by a zero byte; taken after every PATH
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,

    /// Pictures of a file that are searched: the first page or frame, or all of a TIFF file, GIF, APNG or
    /// animated WebP
    #[arg(long, value_enum, default_value_t = FrameChoice::First, help_heading = "Input")]
    pub frames: FrameChoice,

    /// Search every Nth frame of a video, from the first on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Input")]
    pub every: u32,

    /// Decode what there is of a JPEG that is cut off; what is missing is grey
    #[arg(long, help_heading = "Input")]
    pub lenient: bool,

    /// Turn each picture clockwise by these angles and search it each time, for faces that lie on their side
    /// or upside down; boxes and points are told in the picture as it is given. N angles take N times as
    /// long. `auto` searches as it is, and only where that finds no face of 0.95 or more also by 90, 180 and
    /// 270 degrees, which takes four times as long. One search sees faces tilted up to about 30 degrees: for
    /// those between give more angles, as in 0,45,90,135,180,225,270,315
    #[arg(long, value_name = "auto|DEGREES,...", default_value = "0", allow_hyphen_values = true, help_heading = "Detection")]
    pub rotate: Rotate,

    /// Print one JSON object a line and image: path, width, height, faces (box, score, landmarks), truncated,
    /// engine and adapter, and files written; or path, error. A frame of a video has its number (frame, from
    /// 1), seconds, and tracks in the order of its faces. A path that is not UTF-8 stands in `path_base64`
    /// too
    #[arg(long, conflicts_with = "csv", help_heading = "Output")]
    json: bool,

    /// Print CSV: a header, then one row a face
    #[arg(long, help_heading = "Output")]
    csv: bool,

    /// Write a PNG copy of every image to this directory, with boxes, landmarks and scores drawn on it. Files
    /// that mtcmcn did not make are never replaced: `a-2.png` is written where an `a.png` is in the way
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub annotate: Option<PathBuf>,

    /// Write every face to this directory, aligned by its landmarks and cropped to 112x112, as `NAME_1.png`
    /// and so on
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub crops: Option<PathBuf>,

    /// Side of the crops
    #[arg(long, value_name = "PX", requires = "crops", value_parser = clap::value_parser!(u32).range(1..=4096), help_heading = "Output")]
    pub crop_size: Option<u32>,

    /// Show more around the face in its crop: on every side by this share of what it would show
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "crops", value_parser = margin, help_heading = "Output")]
    pub crop_margin: f32,

    /// Cut crops as squares about the boxes instead of aligning them; as large as they are in the picture, if
    /// there is no --crop-size
    #[arg(long, requires = "crops", help_heading = "Output")]
    pub unaligned: bool,

    /// Clip boxes to the image; they may reach outside it otherwise
    #[arg(long, help_heading = "Output")]
    pub clip: bool,

    #[command(flatten)]
    pub detector: DetectorArgs,
}

/// Which pictures of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FrameChoice {
    First,
    All,
}

fn margin(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=4.0).contains(&value) { Ok(value) } else { Err("must be between 0 and 4".to_owned()) }
}

/// How a picture is turned for its searches.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotate {
    /// By none, and where that is not sure of a face by all quarter turns.
    Auto,
    /// By each of these, degrees clockwise.
    Angles(Vec<f64>),
}

impl FromStr for Rotate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: usize = 72;
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let angle = |part: &str| part.trim().parse::<f64>().ok().filter(|angle| angle.abs() <= 360.0);
        let angles = text.split(',').map(angle).collect::<Option<Vec<f64>>>();
        let mut angles = angles.ok_or("auto, or angles between -360 and 360 degrees are needed, as in 0,90,180,270")?;
        angles.iter_mut().for_each(|angle| *angle = angle.rem_euclid(360.0));
        let mut distinct: Vec<f64> = Vec::new();
        angles.into_iter().for_each(|angle| {
            if !distinct.contains(&angle) {
                distinct.push(angle);
            }
        });
        if distinct.len() > MOST { Err(format!("more than {MOST} angles")) } else { Ok(Self::Angles(distinct)) }
    }
}

impl DetectArgs {
    /// How results are to be printed, with videos among the inputs or without.
    pub fn format(&self, videos: bool) -> OutputFormat {
        match (self.json, self.csv) {
            (true, _) => OutputFormat::Json,
            (_, true) if videos => OutputFormat::Csv(MoreColumns::Moment),
            (_, true) if self.frames == FrameChoice::All => OutputFormat::Csv(MoreColumns::Page),
            (_, true) => OutputFormat::Csv(MoreColumns::None),
            _ => OutputFormat::Table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_taken_once_and_within_a_turn() {
        assert_eq!("auto".parse(), Ok(Rotate::Auto));
        assert!("0,450".parse::<Rotate>().is_err());
        assert_eq!("0, 90,-90,270".parse(), Ok(Rotate::Angles(vec![0.0, 90.0, 270.0])));
        for text in ["", "x", "0,,90", "nan", "inf", "0;90"] {
            assert!(text.parse::<Rotate>().is_err(), "{text}");
        }
    }
}
