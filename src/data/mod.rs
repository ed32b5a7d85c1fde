//! Annotations and detections in the file formats of the field, one file each: read, checked, written.
//!
//! Every reader takes a [`Faults`], which says what becomes of a line that cannot be used: it is named (file,
//! line, why), counted and skipped, or the first one stops the reading. Nothing is dropped without being
//! named there. CRLF, a byte order mark and blank lines are no matter.
//!
//! Each format has `parse`, of bytes that are there already, and `read`, of a file. Boxes and landmarks are
//! in `image` space, pixel edges, whatever the file counts in. Paths are as the file writes them.

#[cfg(feature = "toolkit")]
pub mod aflw;
#[cfg(feature = "toolkit")]
pub mod any;
pub mod celeba;
mod class;
pub mod coco;
#[cfg(feature = "toolkit")]
pub mod embeddings;
pub mod facepoint;
mod fault;
pub mod fddb;
pub mod json;
pub mod labelme;
mod matching;
pub mod pairs;
pub mod points;
pub mod retinaface;
mod text;
#[cfg(feature = "toolkit")]
pub mod voc;
pub mod wider;
#[cfg(feature = "toolkit")]
pub mod wider_mat;
pub mod yolo;

use crate::geometry::{BoundingBox, Landmarks};

pub use fault::{DataError, Fault, Faults, FileFaults};
pub use matching::{match_images, match_names};

/// What was written about one image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnnotatedImage {
    /// The image, as the file names it; mostly below the folder that the file lies in.
    pub path: String,
    /// Its faces in the order of the file; none is a statement too.
    pub faces: Vec<Annotation>,
    /// Where the annotation file says so, from 1.
    pub line: usize,
}

/// One face as somebody labelled it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annotation {
    /// Finite, with an area; may reach outside the image.
    pub bounding_box: BoundingBox,
    /// Five points, finite, if they are labelled.
    pub landmarks: Option<Landmarks>,
    /// Not to be counted for or against a detector: too small, too dark, or flagged invalid.
    pub ignore: bool,
    /// What else WIDER FACE says.
    pub attributes: Attributes,
}

impl Annotation {
    /// A plain face.
    pub fn new(bounding_box: BoundingBox) -> Self {
        Self { bounding_box, landmarks: None, ignore: false, attributes: Attributes::default() }
    }
}

/// What WIDER FACE says about a face beside its box. 0 is the plain case of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// 0 clear, 1 normal, 2 heavy.
    pub blur: u8,
    /// 0 typical, 1 exaggerated.
    pub expression: u8,
    /// 0 normal, 1 extreme.
    pub illumination: u8,
    /// Whether the face is flagged as of no use.
    pub invalid: bool,
    /// 0 none, 1 partial, 2 heavy.
    pub occlusion: u8,
    /// 0 typical, 1 atypical.
    pub pose: u8,
}

/// What a detector said about one image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageDetections {
    /// The image, as the file names it.
    pub path: String,
    /// Columns and rows of the upright image, px, if the format says.
    pub size: Option<[u32; 2]>,
    /// Best first.
    pub faces: Vec<Detection>,
    /// Whether faces may be missing for lack of room.
    pub truncated: bool,
    /// Where the file says so, from 1.
    pub line: usize,
}

/// One face that a detector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Finite, with an area; may reach outside the image.
    pub bounding_box: BoundingBox,
    /// The more, the surer; finite, on any scale. Wider than our own scores, so that others' long decimals do
    /// not become ties.
    pub score: f64,
    /// Five points, if the detector gives them.
    pub landmarks: Option<Landmarks>,
}

impl Detection {
    /// Our own face. Its score is taken as the decimal number that is printed for it, so that it is the same
    /// when it is read again.
    pub fn new(bounding_box: BoundingBox, score: f32, landmarks: Landmarks) -> Self {
        Self { bounding_box, score: score.to_string().parse().unwrap_or(f64::from(score)), landmarks: Some(landmarks) }
    }
}

/// `path` with `/` between its parts and without a leading `./`.
pub fn image_path(path: &str) -> String {
    path.trim().replace('\\', "/").trim_start_matches("./").to_owned()
}

/// A name for `path` that is the same with `/` or `\`, with or without the extension of an image file, and
/// with a leading `./`.
///
/// By this key detections find their annotations where paths are not the same.
pub fn image_key(path: &str) -> String {
    const EXTENSIONS: [&str; 12] = ["jpg", "jpeg", "png", "bmp", "gif", "webp", "tif", "tiff", "pgm", "avif", "heic", "heif"];
    let path = image_path(path);
    match path.rsplit_once('.') {
        Some((stem, extension)) if EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) => stem.to_owned(),
        _ => path,
    }
}
