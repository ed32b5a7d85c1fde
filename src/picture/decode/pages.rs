//! Animations: their first picture, or all of them, each as it is shown.

use std::io::Cursor;

use anyhow::Result;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder as _, DynamicImage, Frames, ImageDecoder, ImageFormat};

use super::{Picture, Reading, check_size, limits, one, orientation_of, still, upright};

/// The pictures of a file of `format`.
pub(super) fn picture(bytes: &[u8], format: ImageFormat, reading: &Reading) -> Result<Picture> {
    let count = match format {
        ImageFormat::Gif => gif_frames(bytes),
        ImageFormat::WebP => webp_frames(bytes),
        ImageFormat::Png => png_frames(bytes),
        _ => 1,
    };
    if count < 2 {
        return still(bytes, format, reading.max_pixels).map(one);
    }
    if !reading.all {
        return Ok(first_of(still(bytes, format, reading.max_pixels)?, count, "frames"));
    }
    let cursor = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(cursor)?;
            let orientation = prepared(&mut decoder, format, bytes, reading)?;
            all(decoder.into_frames(), orientation, count, reading)
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(cursor)?;
            let orientation = prepared(&mut decoder, format, bytes, reading)?;
            all(decoder.into_frames(), orientation, count, reading)
        }
        _ => {
            let mut decoder = PngDecoder::new(cursor)?;
            let orientation = prepared(&mut decoder, format, bytes, reading)?;
            all(decoder.apng()?.into_frames(), orientation, count, reading)
        }
    }
}

/// The first of `count` pictures, with that said.
pub(super) fn first_of(frame: crate::cascade::Frame, count: usize, what: &str) -> Picture {
    Picture { count, warnings: vec![format!("first of {count} {what} (--frames all searches them all)")], ..one(frame) }
}

fn prepared(decoder: &mut impl ImageDecoder, format: ImageFormat, bytes: &[u8], reading: &Reading) -> Result<Orientation> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, reading.max_pixels)?;
    decoder.set_limits(limits(reading.max_pixels))?;
    Ok(orientation_of(decoder, format, bytes))
}

fn all(source: Frames<'_>, orientation: Orientation, count: usize, reading: &Reading) -> Result<Picture> {
    let mut picture = Picture { frames: Vec::new(), count, warnings: Vec::new() };
    let mut pixels = 0;
    for frame in source {
        let image = DynamicImage::from(frame?.into_buffer());
        pixels += u64::from(image.width()) * u64::from(image.height());
        if pixels > reading.max_pixels {
            picture.warnings.push(too_many(picture.frames.len(), count));
            break;
        }
        picture.frames.push(upright(image, orientation)?);
    }
    anyhow::ensure!(!picture.frames.is_empty(), "the animation has no frame");
    Ok(picture)
}

/// What is said where all pictures of a file have too many pixels together.
pub(super) fn too_many(taken: usize, count: usize) -> String {
    format!("only the first {taken} of {count} are searched: together they have too many pixels (see --max-pixels)")
}

/// Images in a GIF file, by its blocks.
fn gif_frames(bytes: &[u8]) -> usize {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let Some(&flags) = bytes.get(10) else { return 1 };
    let (mut at, mut frames) = (13 + table(flags), 0);
    loop {
        match bytes.get(at) {
            Some(0x21) => at += 2,
            Some(0x2c) => {
                frames += 1;
                at += 11 + bytes.get(at + 9).map_or(0, |&flags| table(flags));
            }
            _ => return frames,
        }
        // Blocks of data, each after its length, up to one of no length.
        while let Some(&length) = bytes.get(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
    }
}

/// Frames of an animated WebP file, by its chunks.
fn webp_frames(bytes: &[u8]) -> usize {
    let (mut at, mut frames) = (12, 0);
    while let Some(&[a, b, c, d]) = bytes.get(at + 4..).and_then(|rest| rest.first_chunk()) {
        frames += usize::from(&bytes[at..at + 4] == b"ANMF");
        at += 8 + (u32::from_le_bytes([a, b, c, d]) as usize).next_multiple_of(2);
    }
    frames
}

/// Frames that an APNG's control chunk promises.
fn png_frames(bytes: &[u8]) -> usize {
    let mut at = 8;
    while let Some(&length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        match bytes.get(at + 4..at + 8) {
            Some(b"acTL") => {
                return bytes.get(at + 8..).and_then(|rest| rest.first_chunk()).map_or(1, |count| u32::from_be_bytes(*count) as usize);
            }
            Some(b"IDAT") | None => return 1,
            Some(_) => at += 12 + u32::from_be_bytes(length) as usize,
        }
    }
    1
}
