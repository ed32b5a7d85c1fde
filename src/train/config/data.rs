//! Settings of the data: sources, split, and how crops are cut.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::geometry::BoundingBox;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convention: Option<[f64; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives_per_image: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_images: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_face_px: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detections: Option<PathBuf>,
}

/// Labels and soft targets by a cascade that is trained already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct TeacherConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    pub labels: bool,
    pub thresholds: [f32; 3],
    pub scales: Vec<f64>,
    pub mirror: bool,
    pub overlap: f32,
    pub accept: f32,
    pub ignore: f32,
    pub landmarks: f32,
    pub other_landmarks: f32,
    pub min_label_px: f64,
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
    /// The folder that the paths of its images start from.
    pub fn images_folder(&self) -> PathBuf {
        self.images.clone().unwrap_or_else(|| folder_of(&self.annotations))
    }

    /// A label of this source in the convention that its [`convention`](Self::convention) is measured
    /// against.
    pub fn converted(&self, label: BoundingBox) -> BoundingBox {
        let [left, top, right, bottom] = self.convention.unwrap_or_default();
        let inverse = |first: f32, last: f32, before: f64, after: f64| {
            // label_first = first + before * length, label_last = last + after * length.
            let length = f64::from(last - first) / (1.0 - before + after);
            [f64::from(first) - before * length, f64::from(last) - after * length].map(|edge| edge as f32)
        };
        let ([x1, x2], [y1, y2]) = (inverse(label.x1, label.x2, left, right), inverse(label.y1, label.y2, top, bottom));
        BoundingBox { x1, y1, x2, y2 }
    }

    /// What is learned from it: what `learn` lists; without it, landmarks alone from the lists that annotate
    /// one face an image and leave others unsaid, nothing from images without annotations, everything from
    /// the rest (spec section 4.5).
    pub fn uses(&self) -> Uses {
        let default: &[Lesson] = match self.format {
            SourceFormat::Facepoint | SourceFormat::Celeba => &[Lesson::Landmarks],
            SourceFormat::Folder => &[],
            SourceFormat::Pts | SourceFormat::Wflw => &[Lesson::Landmarks],
            SourceFormat::Wider
            | SourceFormat::Json
            | SourceFormat::Retinaface
            | SourceFormat::Coco
            | SourceFormat::Labelme
            | SourceFormat::Voc
            | SourceFormat::Yolo => &[Lesson::Negatives, Lesson::Faces, Lesson::Landmarks],
        };
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
    /// RetinaFace's `label.txt`.
    Retinaface,
    /// COCO's JSON.
    Coco,
    /// labelme's JSON: a folder of it.
    Labelme,
    /// Pascal VOC's XML: a folder of it.
    Voc,
    /// YOLO's labels: a folder of them.
    Yolo,
    /// 300-W's points: a folder of them.
    Pts,
    /// WFLW's list.
    Wflw,
    /// A folder of images without a word about them, for a teacher.
    Folder,
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
    pub faces_per_image: u32,
}

/// The folder that a file is in; a folder itself.
pub fn folder_of(file: &Path) -> PathBuf {
    if file.is_dir() { file.to_owned() } else { file.parent().unwrap_or(Path::new("")).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convention_is_undone() {
        let source = |convention| Source {
            format: SourceFormat::Wider,
            annotations: "list.txt".into(),
            images: None,
            landmarks: None,
            learn: None,
            convention,
            negatives_per_image: None,
            complete: false,
            unseen: false,
            except: Vec::new(),
            most_images: None,
            min_face_px: None,
            detections: None,
        };
        let label = BoundingBox { x1: 10.0, y1: 20.0, x2: 50.0, y2: 80.0 };
        assert_eq!(source(None).converted(label), label);
        let offsets = [0.125, 0.25, 0.0, -0.25];
        let b = source(Some(offsets)).converted(label);
        let (w, h) = (b.width(), b.height());
        assert_eq!([b.x1 + 0.125 * w, b.y1 + 0.25 * h, b.x2, b.y2 - 0.25 * h], [10.0, 20.0, 50.0, 80.0]);
    }
}
