//! Settings of the data: sources, split, and how crops are cut.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where crops come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct DataConfig {
    pub sources: Vec<Source>,
    pub split: [u32; 3],
    pub strict: bool,
    pub shuffle_labels: bool,
    pub crops: CropConfig,
}

/// A set of annotated images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct Source {
    pub format: SourceFormat,
    pub annotations: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landmarks: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learn: Option<Vec<Lesson>>,
}

/// What may be learned from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lesson {
    /// What no face looks like: every face of its images is annotated.
    Negatives,
    /// What a face looks like and where its box is.
    Faces,
    /// Where landmarks are.
    Landmarks,
}

/// The [`Lesson`]s of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the lessons")]
pub struct Uses {
    pub negatives: bool,
    pub faces: bool,
    pub landmarks: bool,
}

impl Source {
    /// What is learned from it: what `learn` lists; without it, landmarks alone from the lists that annotate one face an image and leave others
    /// unsaid, everything from the rest (spec section 4.5).
    pub fn uses(&self) -> Uses {
        let landmarks_alone = matches!(self.format, SourceFormat::Facepoint | SourceFormat::Celeba);
        let default: &[Lesson] =
            if landmarks_alone { &[Lesson::Landmarks] } else { &[Lesson::Negatives, Lesson::Faces, Lesson::Landmarks] };
        let lessons = self.learn.as_deref().unwrap_or(default);
        let has = |lesson| lessons.contains(&lesson);
        Uses { negatives: has(Lesson::Negatives), faces: has(Lesson::Faces), landmarks: has(Lesson::Landmarks) }
    }
}

/// In which form annotations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// WIDER FACE's text or `.mat` files.
    Wider,
    /// `CNN_FacePoint` lists.
    Facepoint,
    /// CelebA's box and landmark lists.
    Celeba,
    /// One JSON object a line and image.
    Json,
}

/// How crops are cut (spec section 4.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct CropConfig {
    pub overlaps: [f64; 3],
    pub min_face_px: f64,
    pub negatives_per_image: u32,
    pub near_negatives_per_face: u32,
    pub tries_per_face: u32,
    pub sides: [f64; 2],
    pub shift: f64,
    pub landmark_crops: u32,
    pub rotation_degrees: f64,
    pub thresholds: [f32; 2],
    pub detect_min_face_px: f64,
    pub detect_factor: f64,
    pub detected_negatives_per_image: u32,
}
