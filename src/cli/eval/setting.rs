//! With what something was detected: printed with every figure, and kept with every image so that only equal
//! ones are used again.

use mtcmcn::cascade::Resampling;
use mtcmcn::{Config, Weights};
use serde::{Deserialize, Serialize};

use crate::cli::fetch;

/// Everything that may change what is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    min_face: f64,
    factor: f64,
    thresholds: [f32; 3],
    max_faces: u32,
    bilinear: bool,
    mirror_landmarks: bool,
    /// First digits of the SHA-256 over all tensors.
    weights: String,
    /// Engine and adapter.
    engine: String,
    version: String,
}

impl Setting {
    /// The setting of a detector.
    pub fn new(config: &Config, weights: &Weights, engine: &str) -> Self {
        Self {
            min_face: config.min_face_px,
            factor: config.factor,
            thresholds: config.thresholds,
            max_faces: config.max_faces,
            bilinear: config.resampling == Resampling::Bilinear,
            mirror_landmarks: config.mirror_landmarks,
            weights: fetch::digest(weights)[..12].to_owned(),
            engine: engine.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// First digits of the SHA-256 over all tensors.
    pub fn weights(&self) -> &str {
        &self.weights
    }

    /// Thresholds of the three nets, as in `0.6/0.7/0.7`.
    pub fn thresholds(&self) -> String {
        let [p, r, o] = self.thresholds;
        format!("{p}/{r}/{o}")
    }

    /// Engine and adapter.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Which of the two differ in what, in words; empty if they are equal.
    pub fn differences(&self, other: &Self) -> String {
        let (ours, theirs) = (self.fields(), other.fields());
        let differing = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs);
        differing.map(|((name, ours), (_, theirs))| format!("{name} {theirs} and not {ours}")).collect::<Vec<_>>().join(", ")
    }

    fn fields(&self) -> [(&'static str, String); 9] {
        let [p, r, o] = self.thresholds;
        let yes_no = |yes: bool| if yes { "on" } else { "off" }.to_owned();
        [
            ("min face", self.min_face.to_string()),
            ("factor", self.factor.to_string()),
            ("thresholds", format!("{p},{r},{o}")),
            ("max faces", self.max_faces.to_string()),
            ("bilinear", yes_no(self.bilinear)),
            ("mirrored landmarks", yes_no(self.mirror_landmarks)),
            ("weights", self.weights.clone()),
            ("engine", self.engine.clone()),
            ("version", self.version.clone()),
        ]
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let [p, r, o] = self.thresholds;
        let Self { min_face, factor, max_faces, weights, engine, version, .. } = self;
        write!(f, "min face {min_face} px, factor {factor}, thresholds {p}/{r}/{o}, at most {max_faces} faces")?;
        if self.bilinear {
            write!(f, ", bilinear")?;
        }
        if self.mirror_landmarks {
            write!(f, ", landmarks mirrored")?;
        }
        write!(f, "; weights {weights}; {engine}; mtcmcn {version}")
    }
}
