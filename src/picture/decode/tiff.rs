//! TIFF files: all their pages, and the pixel types that the image library leaves out: palettes, and grey or
//! colour in whole numbers of any size, with or without sign, and in floating point.
//!
//! Such numbers have no white of their own. Floats between 0 and 1 are taken as they are; all others are
//! stretched so that the least is black and the greatest white.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Cursor;

use anyhow::{Context as _, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageError, ImageFormat, RgbImage};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::pages::{first_of, too_many};
use super::{Picture, Reading, check_size, one, still, upright};
use crate::cascade::Frame;

/// Most pages of a file.
const MAX_PAGES: usize = 10_000;

/// The pages of the file `bytes`.
pub(super) fn picture(bytes: &[u8], reading: &Reading) -> Result<Picture> {
    let pages = pages(bytes);
    if pages.len() < 2 {
        return page(bytes, reading.max_pixels).map(one);
    }
    if !reading.all {
        return Ok(first_of(page(bytes, reading.max_pixels)?, pages.len(), "pages"));
    }
    let mut picture = Picture { frames: Vec::new(), count: pages.len(), warnings: Vec::new() };
    let mut left = reading.max_pixels;
    for (number, &offset) in pages.iter().enumerate() {
        match page(&begun_at(bytes, offset), reading.max_pixels) {
            Ok(frame) => {
                let pixels = u64::from(frame.width()) * u64::from(frame.height());
                if pixels > left {
                    picture.warnings.push(too_many(number, pages.len()));
                    break;
                }
                left -= pixels;
                picture.frames.push(frame);
            }
            Err(error) => return Err(error.context(format!("page {}", number + 1))),
        }
    }
    Ok(picture)
}

/// Where the directory of each page is, as far as they can be followed.
fn pages(bytes: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let reader = Reader::of(bytes);
    let mut next = reader.as_ref().and_then(Reader::first);
    while let Some(offset) = next.filter(|offset| *offset > 0 && found.len() < MAX_PAGES && seen.insert(*offset)) {
        found.push(offset);
        next = reader.as_ref().and_then(|reader| reader.after(offset));
    }
    found
}

/// The same file, but with the page at `offset` as its first.
fn begun_at(bytes: &[u8], offset: u64) -> Cow<'_, [u8]> {
    let Some(reader) = Reader::of(bytes).filter(|reader| reader.first() != Some(offset)) else { return bytes.into() };
    let mut copy = bytes.to_vec();
    let (place, number) =
        if reader.big { (8..16, reader.bytes_of(offset).to_vec()) } else { (4..8, reader.short_bytes_of(offset).to_vec()) };
    if let Some(slot) = copy.get_mut(place) {
        slot.copy_from_slice(&number);
    }
    copy.into()
}

/// Offsets in a file of either order of bytes, and of either size.
struct Reader<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let little = bytes.starts_with(b"II");
        let version = if little { *bytes.get(2)? } else { *bytes.get(3)? };
        Some(Self { bytes, little, big: version == 43 })
    }

    fn number<const N: usize>(&self, at: u64) -> Option<u64> {
        let bytes: &[u8; N] = self.bytes.get(usize::try_from(at).ok()?..)?.first_chunk()?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }

    fn first(&self) -> Option<u64> {
        if self.big { self.number::<8>(8) } else { self.number::<4>(4) }
    }

    /// The offset that the directory at `offset` ends with.
    fn after(&self, offset: u64) -> Option<u64> {
        if self.big {
            let entries = self.number::<8>(offset)?;
            self.number::<8>(offset.checked_add(8)?.checked_add(entries.checked_mul(20)?)?)
        } else {
            let entries = self.number::<2>(offset)?;
            self.number::<4>(offset.checked_add(2 + entries * 12)?)
        }
    }

    /// Where the first page says what its numbers mean, if they are places in a palette.
    fn palette_mark(&self) -> Option<usize> {
        const PHOTOMETRIC: u64 = 262;
        const PALETTE: u64 = 3;
        let first = self.first()?;
        let (count, start, size, value) =
            if self.big { (self.number::<8>(first)?, 8, 20, 12) } else { (self.number::<2>(first)?, 2, 12, 8) };
        let entry = |index: u64| first.checked_add(start + index * size);
        let at = (0..count.min(4096)).filter_map(entry).find(|&at| self.number::<2>(at) == Some(PHOTOMETRIC))? + value;
        (self.number::<2>(at)? == PALETTE).then(|| usize::try_from(at).ok())?
    }

    fn bytes_of(&self, offset: u64) -> [u8; 8] {
        if self.little { offset.to_le_bytes() } else { offset.to_be_bytes() }
    }

    fn short_bytes_of(&self, offset: u64) -> [u8; 4] {
        let offset = offset as u32;
        if self.little { offset.to_le_bytes() } else { offset.to_be_bytes() }
    }
}

/// The first page.
fn page(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    match still(bytes, ImageFormat::Tiff, max_pixels) {
        Err(error) if matches!(error.downcast_ref(), Some(ImageError::Unsupported(_))) => {
            let orientation = Orientation::from_exif_chunk(bytes).unwrap_or(Orientation::NoTransforms);
            upright(DynamicImage::from(unusual(bytes, max_pixels)?), orientation)
        }
        other => other,
    }
}

/// A page of a pixel type that the image library does not know.
fn unusual(bytes: &[u8], max_pixels: u64) -> Result<RgbImage> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(max_pixels.saturating_mul(16)).unwrap_or(usize::MAX).saturating_add(64 << 20);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let reader = Reader::of(bytes);
    let mark = reader.as_ref().and_then(Reader::palette_mark);
    let bytes: Cow<[u8]> = match (&reader, mark) {
        // The library reads no palettes, but grey of the same numbers.
        (Some(reader), Some(at)) => {
            let mut copy = bytes.to_vec();
            copy[at..at + 2].copy_from_slice(if reader.little { &[1, 0] } else { &[0, 1] });
            copy.into()
        }
        _ => bytes.into(),
    };
    let mut decoder = Decoder::new(Cursor::new(&bytes[..]))?.with_limits(limits);
    let (width, height) = decoder.dimensions()?;
    check_size(width, height, max_pixels)?;
    let (color, pixels) = (decoder.colortype()?, width as usize * height as usize);
    let rgb = match color {
        ColorType::Gray(bits) if mark.is_some() => {
            let map = decoder.get_tag_u16_vec(Tag::ColorMap).context("a palette image without a palette")?;
            let indices = whole(decoder.read_image()?, bits, width as usize)?;
            palette(&indices, &map)?
        }
        ColorType::Gray(bits) if bits < 8 => {
            let most = (1u32 << bits) - 1;
            let values = whole(decoder.read_image()?, bits, width as usize)?;
            values.iter().flat_map(|&value| [(u32::from(value) * 255 / most) as u8; 3]).collect()
        }
        ColorType::Gray(_) => stretched(&decoder.read_image()?, 1)?,
        ColorType::GrayA(_) => stretched(&decoder.read_image()?, 2)?,
        ColorType::RGB(_) => stretched(&decoder.read_image()?, 3)?,
        ColorType::RGBA(_) => stretched(&decoder.read_image()?, 4)?,
        other => bail!("a TIFF image of the pixel type {other:?}, which is not read here"),
    };
    ensure!(rgb.len() == 3 * pixels, "a TIFF image of {width}x{height} with {} pixels", rgb.len() / 3);
    RgbImage::from_raw(width, height, rgb).context("the image has no pixels")
}

/// Numbers of `bits` bits, packed with each row beginning a byte if they are less than eight.
fn whole(data: DecodingResult, bits: u8, width: usize) -> Result<Vec<u16>> {
    Ok(match data {
        DecodingResult::U8(bytes) if bits < 8 && bits > 0 => {
            let row = (width * usize::from(bits)).div_ceil(8).max(1);
            let value = |row: &[u8], x: usize| {
                let at = x * usize::from(bits);
                // Widths of 1, 2 and 4 bits do not cross a byte; of others the second byte is read too.
                let pair = u16::from_be_bytes([row.get(at / 8).copied().unwrap_or(0), row.get(at / 8 + 1).copied().unwrap_or(0)]);
                pair << (at % 8) >> (16 - bits)
            };
            bytes.chunks(row).flat_map(|row| (0..width).map(move |x| value(row, x))).collect()
        }
        DecodingResult::U8(bytes) => bytes.into_iter().map(u16::from).collect(),
        DecodingResult::U16(values) => values,
        _ => bail!("a TIFF image of whole numbers of an unusual size"),
    })
}

/// Colours of `indices` into a map of all reds, all greens and all blues.
fn palette(indices: &[u16], map: &[u16]) -> Result<Vec<u8>> {
    let colours = map.len() / 3;
    // Some writers store 8 bits where there should be 16.
    let shift = if map.iter().all(|&value| value < 256) { 0 } else { 8 };
    let mut rgb = Vec::with_capacity(3 * indices.len());
    for &index in indices {
        let index = usize::from(index);
        ensure!(index < colours, "colour {index} of a palette of {colours}");
        rgb.extend([0, 1, 2].map(|channel| (map[channel * colours + index] >> shift) as u8));
    }
    Ok(rgb)
}

/// Pixels of `samples` numbers each, as red, green and blue.
fn stretched(data: &DecodingResult, samples: usize) -> Result<Vec<u8>> {
    let (values, float): (Vec<f32>, bool) = match data {
        DecodingResult::U8(values) => (values.iter().map(|&value| value.into()).collect(), false),
        DecodingResult::U16(values) => (values.iter().map(|&value| value.into()).collect(), false),
        DecodingResult::U32(values) => (values.iter().map(|&value| value as f32).collect(), false),
        DecodingResult::U64(values) => (values.iter().map(|&value| value as f32).collect(), false),
        DecodingResult::I8(values) => (values.iter().map(|&value| value.into()).collect(), false),
        DecodingResult::I16(values) => (values.iter().map(|&value| value.into()).collect(), false),
        DecodingResult::I32(values) => (values.iter().map(|&value| value as f32).collect(), false),
        DecodingResult::I64(values) => (values.iter().map(|&value| value as f32).collect(), false),
        DecodingResult::F16(values) => (values.iter().map(|value| value.to_f32()).collect(), true),
        DecodingResult::F32(values) => (values.clone(), true),
        DecodingResult::F64(values) => (values.iter().map(|&value| value as f32).collect(), true),
    };
    let colours = if samples > 2 { 3 } else { 1 };
    let shown = values.chunks_exact(samples).flat_map(|pixel| &pixel[..colours]).filter(|value| value.is_finite());
    let (low, high) = shown.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let (low, high) = if float && low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, high) };
    let range = (high - low).max(f32::MIN_POSITIVE);
    // A value that is not a number becomes black.
    let byte = |value: f32| ((value - low) / range * 255.0).round() as u8;
    let rgb = |pixel: &[f32]| if colours == 3 { [byte(pixel[0]), byte(pixel[1]), byte(pixel[2])] } else { [byte(pixel[0]); 3] };
    Ok(values.chunks_exact(samples).flat_map(rgb).collect())
}
