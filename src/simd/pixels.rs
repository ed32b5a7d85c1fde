//! Packed pixels into planes of floats.

use super::{Task, Vector};

/// Adds `weight` times the red, green and blue byte of each pixel to its place in three planes.
pub(crate) struct AddPixels<'a> {
    /// R in the low byte.
    pub pixels: &'a [u32],
    /// Factor of this row.
    pub weight: f32,
    /// Red, green, blue; as long as `pixels`.
    pub planes: [&'a mut [f32]; 3],
}

impl Task for AddPixels<'_> {
    type Output = ();

    /// Plain Rust that the compiler vectorises for the path's instructions.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [red, green, blue] = self.planes;
        for (((texel, r), g), b) in self.pixels.iter().zip(red).zip(green).zip(blue) {
            *r += self.weight * (texel & 255) as f32;
            *g += self.weight * (texel >> 8 & 255) as f32;
            *b += self.weight * (texel >> 16 & 255) as f32;
        }
    }
}
