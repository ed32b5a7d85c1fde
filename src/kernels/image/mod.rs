//! Kernels that make network inputs from the frame.

mod crop;
mod resample_columns;
mod resample_rows;
pub mod taps;

pub use crop::Crop;
pub use resample_columns::ResampleColumns;
pub use resample_rows::ResampleRows;

/// A range of rows of one pyramid level to compute: an entry of the table that both halves of resampling
/// share.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Band {
    /// Number of rows in earlier bands.
    pub row: u32,
    /// Number of rows in this band.
    pub rows: u32,
    /// First row of the band within its level.
    pub first: u32,
    /// Number of rows in the whole level.
    pub level_h: u32,
    /// Number of columns in the level.
    pub level_w: u32,
    /// First element of the band in the level-wide output.
    pub x: u32,
}

/// Returns the channels of a packed pixel, with R in the low byte.
fn rgb(texel: u32) -> [f64; 3] {
    [f64::from(texel & 255), f64::from(texel >> 8 & 255), f64::from(texel >> 16 & 255)]
}

/// Normalises a byte value for the nets (spec section 1).
fn normal(value: f64) -> f32 {
    ((value - 127.5) / 128.0) as f32
}

/// Returns the byte value nearest to a normalised value.
pub fn byte(value: f32) -> u8 {
    (value * 128.0 + 127.5).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_unpacks_red_first_and_normalises_to_one() {
        assert_eq!(rgb(u32::from_le_bytes([1, 2, 3, 255])), [1.0, 2.0, 3.0]);
        assert_eq!((normal(0.0), normal(255.0)), (-0.996_093_75, 0.996_093_75));
        assert!((0..=255).all(|value: u8| byte(normal(value.into())) == value));
    }
}
