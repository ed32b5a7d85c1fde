//! Every format and pixel type, upright or not, whole or not. All files are made here, byte by byte where the
//! encoder cannot.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageBuffer, ImageEncoder, Luma, LumaA, Rgb, RgbImage, Rgba};

use super::*;

fn decode(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    Ok(super::decode(bytes, &Reading::first(max_pixels))?.frames.remove(0))
}

const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("the format can hold it");
    bytes.into_inner()
}

/// Twice as wide as high; left half red, right half blue.
fn red_blue() -> RgbImage {
    RgbImage::from_fn(64, 32, |x, _| if x < 32 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

fn rgb_at(frame: &Frame, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * frame.width() + x) * 4) as usize;
    [frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2]]
}

fn near(got: [u8; 3], want: [u8; 3]) -> bool {
    got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 6)
}

fn decoded(bytes: &[u8]) -> Frame {
    decode(bytes, 1_000_000).expect("a good image")
}

#[test]
fn all_formats_are_read() {
    for format in FORMATS {
        let frame = decoded(&encoded(red_blue(), format));
        assert_eq!((frame.width(), frame.height()), (64, 32), "{format:?}");
        assert!(near(rgb_at(&frame, 5, 5), [254, 0, 0]) && near(rgb_at(&frame, 60, 30), [0, 0, 254]), "{format:?}");
    }
}

#[test]
fn all_formats_may_be_cut_or_damaged_anywhere() {
    let noise = crate::tensor::noise(16 * 16 * 3, 7).iter().map(|value| (value * 127.0 + 128.0) as u8).collect();
    let image = RgbImage::from_raw(16, 16, noise).expect("the length fits");
    for format in FORMATS {
        let whole = encoded(image.clone(), format);
        for len in 0..whole.len() {
            let result = panic::catch_unwind(|| decode(&whole[..len], 1_000_000));
            assert!(result.is_ok(), "{format:?} cut to {len} panics");
        }
        assert!(decode(&whole[..whole.len() / 2], 1_000_000).is_err(), "{format:?}: half of it is no image");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let result = panic::catch_unwind(|| decode(&damaged, 1_000_000).map(drop));
            assert!(result.is_ok(), "{format:?} damaged at {at} panics");
        }
    }
}

#[test]
fn all_pixel_types_become_8_bit_rgb() {
    let grey: ImageBuffer<Luma<u8>, Vec<u8>> = ImageBuffer::from_pixel(3, 2, Luma([77]));
    assert_eq!(rgb_at(&decoded(&encoded(grey, ImageFormat::Png)), 2, 1), [77; 3]);
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_pixel(3, 2, Rgb([0, 0x8080, 0xffff]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        assert_eq!(rgb_at(&decoded(&encoded(deep.clone(), format)), 0, 0), [0, 128, 255], "{format:?}");
    }
    let deep_grey: ImageBuffer<LumaA<u16>, Vec<u16>> = ImageBuffer::from_pixel(1, 1, LumaA([0xffff, 0]));
    assert_eq!(rgb_at(&decoded(&encoded(deep_grey, ImageFormat::Png)), 0, 0), [255; 3]);
    let float: ImageBuffer<Rgb<f32>, Vec<f32>> = ImageBuffer::from_pixel(1, 1, Rgb([0.0, 1.0, 7.0]));
    assert_eq!(rgb_at(&decoded(&encoded(float, ImageFormat::Tiff)), 0, 0), [0, 255, 255]);
    let clear: ImageBuffer<Rgba<u8>, Vec<u8>> = ImageBuffer::from_pixel(1, 1, Rgba([10, 20, 30, 0]));
    assert_eq!(rgb_at(&decoded(&encoded(clear, ImageFormat::Png)), 0, 0), [10, 20, 30], "alpha is ignored");
}

#[test]
fn cmyk_jpegs_are_read() {
    // As all such files in the wild, with Adobe's marker and inverted: 255 is no ink.
    let frame = decoded(&cmyk_jpeg([255, 64, 128, 255]));
    assert_eq!((frame.width(), frame.height()), (8, 8));
    assert!(near(rgb_at(&frame, 3, 3), [255, 64, 128]), "{:?}", rgb_at(&frame, 3, 3));
    let frame = decoded(&cmyk_jpeg([255, 128, 255, 128]));
    assert!(near(rgb_at(&frame, 0, 7), [128, 64, 128]), "{:?}", rgb_at(&frame, 0, 7));
}

/// A one-block JPEG of one colour in four components: the difference of each DC coefficient, then the end of
/// the block.
fn cmyk_jpeg(stored: [u8; 4]) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        jpeg.extend([0xff, marker, 0, body.len() as u8 + 2]);
        jpeg.extend(body);
    };
    segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
    segment(0xc4, &[&[0x00, 0, 0, 0, 12][..], &[0; 12], &(0..12).collect::<Vec<u8>>()].concat()); // DC: 12 sizes, 4 bits each
    segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat()); // AC: "end of block" is one 0 bit
    segment(0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    let mut bits = String::new();
    for value in stored {
        let dc = i32::from(value) - 128; // the quantiser of 8 and the transform's gain of 8 cancel
        let size = (32 - dc.unsigned_abs().leading_zeros()) as usize;
        let coded = if dc < 0 { dc + (1 << size) - 1 } else { dc };
        bits += &format!("{size:04b}");
        bits += &if size > 0 { format!("{coded:0size$b}") } else { String::new() };
        bits.push('0');
    }
    bits += &"1".repeat(bits.len().next_multiple_of(8) - bits.len());
    for byte in bits.as_bytes().chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        jpeg.extend([byte, 0].iter().take(if byte == 0xff { 2 } else { 1 }));
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

/// The smallest EXIF block: a TIFF header and one tag, the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat()
}

fn with_exif(mut encoder: impl ImageEncoder, exif: Vec<u8>) {
    encoder.set_exif_metadata(exif).expect("the format holds EXIF");
    encoder.write_image(&red_blue(), 64, 32, ExtendedColorType::Rgb8).expect("the format holds RGB");
}

#[test]
fn images_are_turned_upright() {
    // The place of the red half, by orientation: 1 left, 2 mirrored, 3 upside down, 6 and 8 on the side, 5
    // and 7 also mirrored.
    let red = [(1, (5, 16)), (2, (60, 16)), (3, (60, 16)), (4, (5, 16)), (5, (16, 5)), (6, (16, 5)), (7, (16, 60)), (8, (16, 60))];
    for (orientation, (x, y)) in red {
        let mut files = [const { Vec::new() }; 4];
        with_exif(JpegEncoder::new_with_quality(&mut files[0], 95), exif(orientation));
        with_exif(PngEncoder::new(&mut files[1]), exif(orientation));
        with_exif(WebPEncoder::new_lossless(&mut files[2]), exif(orientation));
        with_exif(WebPEncoder::new_lossless(&mut files[3]), [b"Exif\0\0".to_vec(), exif(orientation)].concat());
        for (index, file) in files.iter().enumerate() {
            let frame = decoded(file);
            assert_eq!(frame.width() > frame.height(), orientation < 5, "file {index}, orientation {orientation}");
            assert!(near(rgb_at(&frame, x, y), [254, 0, 0]), "file {index}, orientation {orientation}");
        }
    }
    let frame = decoded(&turned_tiff(6));
    assert_eq!((frame.width(), frame.height()), (1, 2));
    assert_eq!([rgb_at(&frame, 0, 0), rgb_at(&frame, 0, 1)], [[9, 8, 7], [6, 5, 4]]);
}

/// An uncompressed TIFF of two pixels with an orientation tag.
fn turned_tiff(orientation: u32) -> Vec<u8> {
    let short = |tag: u16, value: u32| (tag, 3_u16, 1_u32, value);
    let entries = [
        short(256, 2),                // width
        short(257, 1),                // height
        (258, 3, 3, 8 + 2 + 120 + 4), // bits per sample, behind the entries
        short(259, 1),                // not compressed
        short(262, 2),                // RGB
        short(273, 8 + 2 + 120 + 10), // the pixels, behind that
        short(274, orientation),
        short(277, 3), // samples
        short(278, 1), // rows
        short(279, 6), // bytes
    ];
    let mut tiff = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, count, value) in entries {
        tiff.extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    tiff.extend([0, 0, 0, 0, 8, 0, 8, 0, 8, 0, 9, 8, 7, 6, 5, 4]);
    tiff
}

#[test]
fn size_is_checked_before_decoding() {
    let bytes = encoded(RgbImage::new(50, 40), ImageFormat::Bmp);
    assert!(decode(&bytes, 2000).is_ok());
    let error = decode(&bytes[..60], 1999).expect_err("one pixel too many, and nothing to decode").to_string();
    assert!(error.contains("50x40") && error.contains("--max-pixels"), "{error}");
}

#[test]
fn what_is_no_image_is_not_read_on() {
    let error = |bytes: &[u8]| read_bytes(bytes).expect_err("no image").to_string();
    assert_eq!(error(b""), "the file is empty");
    assert!(error(b"just some text").starts_with("not an image"));
    assert!(read_bytes(io::repeat(0)).is_err(), "a source without an end");
}
