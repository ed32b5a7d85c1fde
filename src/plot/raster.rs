//! Conversion of the program's own SVG to PNG.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use epaint_default_fonts::UBUNTU_LIGHT;
use image::{ImageFormat, RgbImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::PlotError;

/// Number of pixels per unit of the drawing.
const PIXELS_PER_UNIT: f32 = 2.0;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_source(fontdb::Source::Binary(Arc::new(UBUNTU_LIGHT)));
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(family.unwrap_or_default());
    Arc::new(fonts)
});

/// Renders `svg` as a PNG file.
///
/// # Errors
///
/// [`PlotError::Draw`] if the SVG cannot be parsed.
pub fn png(svg: &str) -> Result<Vec<u8>, PlotError> {
    let failed = |reason: String| PlotError::Draw { title: "PNG".to_owned(), reason };
    let options = Options { fontdb: FONTS.clone(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let [width, height] = [tree.size().width(), tree.size().height()].map(|side| (side * PIXELS_PER_UNIT).round() as u32);
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| failed(format!("{width}x{height} pixels")))?;
    resvg::render(&tree, Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT), &mut pixels.as_mut());
    let rgb = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let picture = RgbImage::from_raw(width, height, rgb).ok_or_else(|| failed("not all pixels were drawn".to_owned()))?;
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}
