//! [`FaceInput`]: how a net wants to be shown a face.

use serde::{Deserialize, Serialize};

/// Order of the colours in a net's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// How a net wants to be shown a face: aligned to the template [`ALIGNED_112`](crate::geometry::ALIGNED_112),
/// scaled to the side of its input, each colour as `(byte / 255 - mean) / deviation`. Kept in the weights
/// file beside the graph, under `recognizer`, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceInput {
    /// Order of the colours.
    pub colours: ColourOrder,
    /// What is subtracted, in the order of the colours.
    pub mean: [f32; 3],
    /// What is divided by, in the order of the colours.
    pub deviation: [f32; 3],
    /// Cosine from which two faces count as one person's, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// Cosine from which two faces count as one person's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Least cosine.
    pub cosine: f64,
    /// Share of the pairs of two persons that reach it, where it was measured.
    pub false_accepts: f64,
}

impl FaceInput {
    /// Key in the metadata of weights.
    pub const KEY: &'static str = "recognizer";

    /// Input of most recognisers: RGB from -1 to 1.
    pub const USUAL: Self = Self { colours: ColourOrder::Rgb, mean: [0.5; 3], deviation: [0.5; 3], threshold: None };

    /// Writes the planes of a crop, rows of R, G, B bytes, to `to`, and those of its mirror image to
    /// `mirrored`.
    ///
    /// # Panics
    ///
    /// If the lengths do not fit: a programming error of the caller.
    pub fn planes(&self, rgb: &[u8], side: usize, to: &mut [f32], mirrored: &mut [f32]) {
        assert!(rgb.len() == 3 * side * side && to.len() == rgb.len() && mirrored.len() == rgb.len(), "a crop of another size");
        let planes = to.chunks_exact_mut(side * side).zip(mirrored.chunks_exact_mut(side * side)).enumerate();
        for (colour, (to, mirrored)) in planes {
            let from = if self.colours == ColourOrder::Rgb { colour } else { 2 - colour };
            let values: Vec<f32> = (0..=255).map(|byte| (byte as f32 / 255.0 - self.mean[colour]) / self.deviation[colour]).collect();
            let rows = to.chunks_exact_mut(side).zip(mirrored.chunks_exact_mut(side));
            for ((to, mirrored), row) in rows.zip(rgb.chunks_exact(3 * side)) {
                for (x, pixel) in row.chunks_exact(3).enumerate() {
                    let value = values[usize::from(pixel[from])];
                    to[x] = value;
                    mirrored[side - 1 - x] = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_scaled_in_order_and_mirrored() {
        let rgb = [255, 0, 51, 0, 0, 0, 0, 255, 0, 0, 0, 255];
        let (mut to, mut mirrored) = ([f32::NAN; 12], [f32::NAN; 12]);
        FaceInput::USUAL.planes(&rgb, 2, &mut to, &mut mirrored);
        let near = |got: &[f32], want: &[f32]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
        assert!(near(&to, &[1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -0.6, -1.0, -1.0, 1.0]), "{to:?}");
        assert!(near(&mirrored, &[-1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -0.6, 1.0, -1.0]), "{mirrored:?}");
        let other = FaceInput { colours: ColourOrder::Bgr, mean: [0.2, 0.0, 0.0], deviation: [1.0, 1.0, 0.5], threshold: None };
        other.planes(&rgb, 2, &mut to, &mut mirrored);
        assert!(near(&to, &[0.0, -0.2, -0.2, 0.8, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0]), "{to:?}");
    }
}
