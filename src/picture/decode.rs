//! From a file to [`Frame`]s: any of seven formats, told apart by content, upright, as 8-bit RGB.
//!
//! Grey, CMYK, palette, 16-bit and floating-point images are converted; alpha is ignored, not blended, so a
//! transparent pixel has the colour that is stored under it. Of animations and TIFF files the first picture
//! is taken, or all of them; how many there are is told.

#[cfg(feature = "avif")]
mod avif;
#[cfg(feature = "avif")]
mod boxes;
#[cfg(feature = "heic")]
mod heic;
mod jpeg;
mod kind;
mod pages;
mod tiff;

use std::any::Any;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::cascade::Frame;

use kind::{FileKind, kind};
pub use kind::{is_picture, is_picture_name, is_readable};

/// More than this is not read from one file: it may be a device or a pipe without an end.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// So many bytes tell what a file is.
const HEAD: u64 = 64;

const TOO_SHORT: &str = "the file ends before the image does";

/// Why a file gave no frame; the text is for the user.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PictureError(#[from] anyhow::Error);

/// How a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Pictures with more pixels are refused, by what their header says and before anything is decoded.
    pub max_pixels: u64,
    /// Of a JPEG that is cut off, what there is of it is decoded; the rest is grey.
    pub lenient: bool,
    /// All pages of a TIFF file and all frames of an animation, together not more than
    /// [`max_pixels`](Self::max_pixels), not the first alone.
    pub all: bool,
}

impl Reading {
    /// The first picture of a whole file.
    pub fn first(max_pixels: u64) -> Self {
        Self { max_pixels, lenient: false, all: false }
    }
}

/// What is in a file.
#[derive(Debug)]
pub struct Picture {
    /// Its pictures, at least one.
    pub frames: Vec<Frame>,
    /// How many pictures the file has.
    pub count: usize,
    /// What is not as it should be, for the user.
    pub warnings: Vec<String>,
}

/// Reads and decodes the first image in the file at `path`. What is not as it should be is logged as a
/// warning.
///
/// # Errors
///
/// If the file cannot be read, is not an image in one of the formats, is damaged, or has more than
/// `max_pixels` pixels.
pub fn read(path: &Path, max_pixels: u64) -> Result<Frame, PictureError> {
    let Picture { mut frames, warnings, .. } = read_picture(path, &Reading::first(max_pixels))?;
    for warning in warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(frames.swap_remove(0))
}

/// Reads and decodes the file at `path`.
///
/// # Errors
///
/// As [`read`].
pub fn read_picture(path: &Path, reading: &Reading) -> Result<Picture, PictureError> {
    let bytes = File::open(path).map_err(anyhow::Error::from).and_then(read_bytes)?;
    picture(&bytes, reading)
}

/// Decodes a file that is in memory.
///
/// # Errors
///
/// As [`read`].
pub fn picture(bytes: &[u8], reading: &Reading) -> Result<Picture, PictureError> {
    // Decoders are large and fed with anything: should one panic, that costs one image and not the run.
    let picture = panic::catch_unwind(AssertUnwindSafe(|| decode(bytes, reading))).unwrap_or_else(|panic| Err(panicked(&*panic)));
    Ok(picture.map_err(|error| if is_end_of_file(&error) { anyhow!(TOO_SHORT) } else { error })?)
}

/// All of `file` if it begins like an image.
fn read_bytes(file: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file.take(MAX_FILE_BYTES + 1);
    file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
    ensure!(!bytes.is_empty(), "the file is empty");
    readable(&bytes)?;
    file.read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_FILE_BYTES, "the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
    Ok(bytes)
}

/// What `bytes` are, if that is read here.
fn readable(bytes: &[u8]) -> Result<FileKind> {
    match kind(bytes) {
        Some(FileKind::Foreign(name)) => bail!("{name}, which is not read here: convert it to JPEG, PNG or AVIF"),
        #[cfg(not(feature = "avif"))]
        Some(FileKind::Avif) => bail!("an AVIF picture, which this build does not read: build mtcmcn with `--features avif`"),
        #[cfg(not(feature = "heic"))]
        Some(FileKind::Heic) => bail!(
            "a HEIC picture, which this build does not read: convert it to JPEG (`heif-convert a.heic a.jpg`), or build mtcmcn with \
             `--features heic`"
        ),
        Some(kind) => Ok(kind),
        None => bail!("not an image in a format that is read here (JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF)"),
    }
}

fn decode(bytes: &[u8], reading: &Reading) -> Result<Picture> {
    match readable(bytes)? {
        FileKind::Image(ImageFormat::Jpeg) => jpeg_picture(bytes, reading),
        FileKind::Image(ImageFormat::Tiff) => tiff::picture(bytes, reading),
        FileKind::Image(format) => pages::picture(bytes, format, reading),
        #[cfg(feature = "avif")]
        FileKind::Avif => Ok(one(avif::frame(bytes, reading.max_pixels)?)),
        #[cfg(feature = "heic")]
        FileKind::Heic => Ok(one(heic::frame(bytes, reading.max_pixels)?)),
        _ => bail!("not an image"),
    }
}

/// A file with a single picture.
fn one(frame: Frame) -> Picture {
    Picture { frames: vec![frame], count: 1, warnings: Vec::new() }
}

fn jpeg_picture(bytes: &[u8], reading: &Reading) -> Result<Picture> {
    let still = |bytes: &[u8]| still(bytes, ImageFormat::Jpeg, reading.max_pixels);
    if jpeg::is_whole(bytes) {
        return still(bytes).map(one);
    }
    let warning = if jpeg::lacks_its_end_alone(bytes, |bytes| still(bytes).ok()) {
        "its end marker is missing; the image itself is whole"
    } else {
        ensure!(reading.lenient, "{TOO_SHORT} (--lenient decodes what there is)");
        "cut off: what is missing of it is grey, and a face there is not found"
    };
    let frame = still(&jpeg::ended(bytes))?;
    Ok(Picture { warnings: vec![warning.to_owned()], ..one(frame) })
}

fn limits(max_pixels: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(64 << 20)); // room for four f32 channels
    limits
}

/// The first picture of a file of a format that the image library reads.
fn still(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<Frame> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(max_pixels));
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, max_pixels)?;
    let orientation = orientation_of(&mut decoder, format, bytes);
    upright(DynamicImage::from_decoder(decoder)?, orientation)
}

fn check_size(width: u32, height: u32, max_pixels: u64) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    ensure!(pixels <= max_pixels, "{width}x{height} is more than {} million pixels (see --max-pixels)", max_pixels as f64 / 1e6);
    Ok(())
}

fn upright(mut image: DynamicImage, orientation: Orientation) -> Result<Frame> {
    image.apply_orientation(orientation);
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    Frame::from_rgba(width, height, rgba.into_raw()).context("the image has no pixels")
}

/// How the picture has to be turned, from EXIF or, as EXIF is built like a TIFF file, from a TIFF file's own
/// tags.
fn orientation_of(decoder: &mut impl ImageDecoder, format: ImageFormat, bytes: &[u8]) -> Orientation {
    let orientation = if format == ImageFormat::Tiff {
        Orientation::from_exif_chunk(bytes)
    } else {
        // Damaged metadata is no reason to refuse the picture. Some WebP writers keep the prefix that only
        // JPEG needs.
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
