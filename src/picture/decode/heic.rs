//! HEIC, by the system's libheif, which turns pictures upright itself.

use anyhow::{Context as _, Result};
use libheif_rs::{ColorSpace, HeifContext, LibHeif, RgbChroma};

use super::check_size;
use crate::cascade::Frame;

/// The primary picture of the file `bytes`.
pub(super) fn frame(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    let context = HeifContext::read_from_bytes(bytes)?;
    let handle = context.primary_image_handle()?;
    check_size(handle.width(), handle.height(), max_pixels)?;
    let image = LibHeif::new().decode(&handle, ColorSpace::Rgb(RgbChroma::Rgb), None)?;
    let plane = image.planes().interleaved.context("libheif gave no pixels")?;
    let row =
        |row: &[u8]| row[..3 * plane.width as usize].as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect::<Vec<u8>>();
    let rgba = plane.data.chunks(plane.stride).take(plane.height as usize).flat_map(row).collect();
    Frame::from_rgba(plane.width, plane.height, rgba).context("the image has no pixels")
}
