//! From a file to a [`Frame`]: any of six formats, told apart by content, upright, as 8-bit RGB.
//!
//! Grey, CMYK, 16-bit and floating-point images are converted; alpha is ignored, not blended, so a transparent pixel has the colour
//! that is stored under it. Of animations the first picture is taken, of TIFF files the first page.

use std::any::Any;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::cascade::Frame;

/// More than this is not read from one file: it may be a device or a pipe without an end.
const MAX_FILE_BYTES: u64 = 1 << 30;

const TOO_SHORT: &str = "the file ends before the image does";

/// Why a file gave no frame; the text is for the user.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PictureError(#[from] anyhow::Error);

/// Reads and decodes the image in the file at `path`.
///
/// # Errors
///
/// If the file cannot be read, is not an image in one of the formats, is damaged, or has more than `max_pixels` pixels, which its
/// header tells before anything is decoded.
pub fn read(path: &Path, max_pixels: u64) -> Result<Frame, PictureError> {
    let bytes = File::open(path).map_err(anyhow::Error::from).and_then(read_bytes)?;
    // Decoders are large and fed with anything: should one panic, that costs one image and not the run.
    let frame = panic::catch_unwind(AssertUnwindSafe(|| decode(&bytes, max_pixels))).unwrap_or_else(|panic| Err(panicked(&*panic)));
    Ok(frame.map_err(|error| if is_end_of_file(&error) { anyhow!(TOO_SHORT) } else { error })?)
}

/// All of `file` if it begins like an image.
fn read_bytes(file: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file.take(MAX_FILE_BYTES + 1);
    file.by_ref().take(16).read_to_end(&mut bytes)?;
    ensure!(!bytes.is_empty(), "the file is empty");
    format_of(&bytes)?;
    file.read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_FILE_BYTES, "the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
    Ok(bytes)
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        _ => bail!("not an image in a format that is read here (JPEG, PNG, WebP, BMP, GIF, TIFF)"),
    }
}

fn decode(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    let format = format_of(bytes)?;
    ensure!(format != ImageFormat::Jpeg || jpeg_is_whole(bytes), TOO_SHORT);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(64 << 20)); // room for four f32 channels
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    ensure!(pixels <= max_pixels, "{width}x{height} is more than {} million pixels (see --max-pixels)", max_pixels as f64 / 1e6);
    let orientation = orientation_of(&mut decoder, format, bytes);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    Frame::from_rgba(width, height, rgba.into_raw()).context("the image has no pixels")
}

/// Whether an end marker follows the image's data. The decoder makes what is missing grey, and no faces there would not mean none.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        // Within compressed data, 0xff is followed by 0 or a restart marker; before a marker it may be repeated.
        let marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff);
        let Some(at) = rest.windows(2).position(marker) else { return false };
        if rest[at + 1] == 0xd9 {
            return true;
        }
        // Every other marker begins a segment that tells its length; an end marker inside it, as of a thumbnail, is not ours.
        let Some(&[high, low]) = rest.get(at + 2..at + 4) else { return false };
        let Some(after) = rest.get(at + 2 + usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        rest = after;
    }
}

/// How the picture has to be turned, from EXIF or, as EXIF is built like a TIFF file, from a TIFF file's own tags.
fn orientation_of(decoder: &mut impl ImageDecoder, format: ImageFormat, bytes: &[u8]) -> Orientation {
    let orientation = if format == ImageFormat::Tiff {
        Orientation::from_exif_chunk(bytes)
    } else {
        // Damaged metadata is no reason to refuse the picture. Some WebP writers keep the prefix that only JPEG needs.
        let exif = decoder.exif_metadata().ok().flatten();
        exif.and_then(|exif| Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif)))
    };
    orientation.unwrap_or(Orientation::NoTransforms)
}

fn is_end_of_file(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ImageError::IoError(io)) if io.kind() == io::ErrorKind::UnexpectedEof)
}

fn panicked(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    anyhow!("the decoder panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests;
