//! Settings of the detector; their defaults are those of the authors' release (spec section 3.1).

use crate::weights::Weights;

/// Method by which pyramid levels and crops are resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resampling {
    /// Exact area average when shrinking, bilinear when enlarging; the public weights were tuned with it.
    #[default]
    Area,
    /// Four-tap bilinear interpolation with half-pixel centres, both when shrinking and when enlarging.
    Bilinear,
}

/// Largest number of candidates per stage. If a stage finds more, the rest is dropped and
/// [`super::Detections::truncated`] is set; this is not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// P-Net cells over the threshold, in all pyramid levels together.
    pub candidates: u32,
    /// Crops for R-Net.
    pub rnet: u32,
    /// Crops for O-Net.
    pub onet: u32,
}

/// Settings of a [`super::Detector`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Smallest face side that the pyramid is built for, px; at least 1 (below 12 the image is enlarged).
    /// Default 20.
    pub min_face_px: f64,
    /// Ratio of one pyramid level to the next, in `[0.1, 0.95]`. Default 0.709.
    pub factor: f64,
    /// Lowest face probability that passes P-Net (`>=`), R-Net (`>`) and O-Net (`>`), each in `[0, 1]`.
    /// Default 0.6, 0.7, 0.7; see [`Config::for_weights`].
    pub thresholds: [f32; 3],
    /// Largest number of faces returned, best first; 1 to 10,000. Default 1,000.
    pub max_faces: u32,
    /// Resampling method for pyramid levels and crops.
    pub resampling: Resampling,
    /// Whether landmarks are averaged over the crop and its mirror image (as in the authors' "v1" script).
    /// Default off.
    pub mirror_landmarks: bool,
    /// Largest number of candidates per stage; `None` derives it from the frame size.
    pub capacity: Option<Capacity>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min_face_px: 20.0,
            factor: 0.709,
            thresholds: [0.6, 0.7, 0.7],
            max_faces: 1000,
            resampling: Resampling::default(),
            mirror_landmarks: false,
            capacity: None,
        }
    }
}

/// Error for a setting outside its range.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{name} is {value}, but must be {range}")]
pub struct ConfigError {
    /// Name of the setting.
    pub name: &'static str,
    /// Value given.
    pub value: f64,
    /// Description of the allowed values.
    pub range: &'static str,
}

impl Config {
    /// Returns the defaults, with the thresholds that `weights` were tuned for if the weights state them.
    pub fn for_weights(weights: &Weights) -> Self {
        let config = Self::default();
        Self { thresholds: weights.thresholds().unwrap_or(config.thresholds), ..config }
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting found outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, name, value, range| if ok { Ok(()) } else { Err(ConfigError { name, value, range }) };
        check(self.min_face_px >= 1.0 && self.min_face_px.is_finite(), "min_face_px", self.min_face_px, "at least 1")?;
        check(self.factor >= 0.1 && self.factor <= 0.95, "factor", self.factor, "between 0.1 and 0.95")?;
        for (name, value) in ["P-Net threshold", "R-Net threshold", "O-Net threshold"].into_iter().zip(self.thresholds) {
            check((0.0..=1.0).contains(&value), name, f64::from(value), "between 0 and 1")?;
        }
        check((1..=10_000).contains(&self.max_faces), "max_faces", f64::from(self.max_faces), "between 1 and 10000")?;
        for capacity in self.capacity.iter().flat_map(|c| [c.candidates, c.rnet, c.onet]) {
            check((1..=16_384).contains(&capacity), "capacity", f64::from(capacity), "between 1 and 16384")?;
        }
        Ok(())
    }
}
