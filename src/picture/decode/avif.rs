//! AVIF: AV1 pictures in the boxes of HEIF, whole or made of tiles. Of a file that also has a sequence, its
//! still picture is taken.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, imageops};
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Settings, pixel};

use super::boxes::Heif;
use super::{check_size, upright};
use crate::cascade::Frame;

/// Most tiles of a picture.
const MAX_TILES: usize = 4096;

/// The picture in the file `bytes`.
pub(super) fn frame(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    let heif = Heif::read(bytes).map_err(|what| anyhow!(what))?;
    let item = heif.primary();
    if let Some([width, height]) = heif.size(item) {
        check_size(width, height, max_pixels)?;
    }
    let rgb = match heif.kind(item) {
        Some(b"av01") => coded(&heif, item, max_pixels)?,
        Some(b"grid") => tiled(&heif, item, max_pixels)?,
        kind => bail!(
            "an AVIF file whose picture is {}, which is not read here",
            kind.map_or("nowhere".into(), |kind| String::from_utf8_lossy(kind))
        ),
    };
    let mut image = DynamicImage::from(rgb);
    for turn in heif.turns(item) {
        image.apply_orientation(turn);
    }
    upright(image, Orientation::NoTransforms)
}

/// A picture of tiles, which follow each other row by row.
fn tiled(heif: &Heif, item: u32, max_pixels: u64) -> Result<RgbImage> {
    let grid = heif.data(item).map_err(|what| anyhow!(what))?;
    let &[_, flags, rows, columns, ref sides @ ..] = &grid[..] else { bail!("damaged: a picture of tiles that does not say how many") };
    let side = |at: usize| -> Result<u32> {
        let size = if flags & 1 == 1 { 4 } else { 2 };
        let bytes = sides.get(at * size..(at + 1) * size).context("damaged: a picture of tiles without a size")?;
        Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    };
    let (width, height) = (side(0)?, side(1)?);
    check_size(width, height, max_pixels)?;
    let (rows, columns) = (usize::from(rows) + 1, usize::from(columns) + 1);
    let tiles = heif.parts(item);
    ensure!(tiles.len() == rows * columns && tiles.len() <= MAX_TILES, "damaged: {} tiles where {rows} x {columns} belong", tiles.len());
    let mut whole = RgbImage::new(width, height);
    for (number, &tile) in tiles.iter().enumerate() {
        let picture = coded(heif, tile, max_pixels)?;
        let (x, y) = ((number % columns) as i64 * i64::from(picture.width()), (number / columns) as i64 * i64::from(picture.height()));
        imageops::replace(&mut whole, &picture, x, y);
    }
    Ok(whole)
}

/// The picture of one coded item.
fn coded(heif: &Heif, item: u32, max_pixels: u64) -> Result<RgbImage> {
    let data = heif.data(item).map_err(|what| anyhow!(what))?;
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(max_pixels).unwrap_or(u32::MAX));
    let failed = |error| anyhow!("the AV1 data in it cannot be decoded: {error}");
    let mut decoder = Decoder::with_settings(&settings).map_err(failed)?;
    decoder.send_data(data, None, None, None).map_err(failed)?;
    let picture = decoder.get_picture().map_err(failed)?;
    check_size(picture.width(), picture.height(), max_pixels)?;
    let coding = matches!(picture.matrix_coefficients(), pixel::MatrixCoefficients::Identity);
    let matrix = match picture.matrix_coefficients() {
        pixel::MatrixCoefficients::BT709 => 1,
        pixel::MatrixCoefficients::BT2020NonConstantLuminance | pixel::MatrixCoefficients::BT2020ConstantLuminance => 9,
        _ => 6,
    };
    let own = (if coding { 0 } else { matrix }, matches!(picture.color_range(), pixel::YUVRange::Full));
    // The container's word counts, where it has one.
    let (matrix, full) = heif.colour(item).unwrap_or(own);
    rgb(&picture, matrix, full)
}

/// One plane as numbers between 0 and 1, without the part of the range that is not used.
struct YuvPlane {
    bytes: re_rav1d::dav1d::Plane,
    stride: usize,
    wide: bool,
    low: f32,
    scale: f32,
}

impl YuvPlane {
    fn new(picture: &Picture, component: PlanarImageComponent, full: bool) -> Self {
        let bits = picture.bits_per_component().map_or(8, |bits| bits.0);
        let (step, most) = ((1u32 << (bits - 8)) as f32, ((1u32 << bits) - 1) as f32);
        let luma = component == PlanarImageComponent::Y;
        let (low, range) = match (full, luma) {
            (true, _) => (0.0, most),
            (false, true) => (16.0 * step, 219.0 * step),
            (false, false) => (16.0 * step, 224.0 * step),
        };
        Self { bytes: picture.plane(component), stride: picture.stride(component) as usize, wide: bits > 8, low, scale: 1.0 / range }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        let bytes: &[u8] = &self.bytes;
        let value = if self.wide {
            let at = y * self.stride + 2 * x;
            f32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
        } else {
            f32::from(bytes[y * self.stride + x])
        };
        (value - self.low) * self.scale
    }
}

fn rgb(picture: &Picture, matrix: u16, full: bool) -> Result<RgbImage> {
    let layout = picture.pixel_layout();
    let luma = YuvPlane::new(picture, PlanarImageComponent::Y, full);
    let byte = |value: f32| (value * 255.0).round() as u8;
    if layout == PixelLayout::I400 {
        return Ok(RgbImage::from_fn(picture.width(), picture.height(), |x, y| image::Rgb([byte(luma.at(x as usize, y as usize)); 3])));
    }
    let [u, v] = [PlanarImageComponent::U, PlanarImageComponent::V].map(|component| YuvPlane::new(picture, component, full));
    let (across, down) = match layout {
        PixelLayout::I420 => (2, 2),
        PixelLayout::I422 => (2, 1),
        _ => (1, 1),
    };
    ensure!(matrix != 0 || (across, down) == (1, 1), "damaged: an AVIF picture of red, green and blue with two of them halved");
    // Shares of red and blue in luma.
    let (red, blue) = match matrix {
        1 => (0.2126, 0.0722),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    Ok(RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (x, y) = (x as usize, y as usize);
        let (luma, u, v) = (luma.at(x, y), u.at(x / across, y / down), v.at(x / across, y / down));
        if matrix == 0 {
            return image::Rgb([byte(v), byte(luma), byte(u)]);
        }
        let (u, v) = (u - 0.5, v - 0.5);
        let (r, b) = (luma + 2.0 * (1.0 - red) * v, luma + 2.0 * (1.0 - blue) * u);
        let g = (luma - red * r - blue * b) / (1.0 - red - blue);
        image::Rgb([byte(r), byte(g), byte(b)])
    }))
}
