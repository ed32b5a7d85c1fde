//! TIFF files of unusual pixels, and files of several pages or frames, through the real binary.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, RgbImage};

use crate::cli::Scratch;
use crate::cli_cases::{SIZE, assert_near, detect, face, portrait};

/// Tags of a page, each with its type and values, and the pixels.
type Page<'a> = (&'a [(u16, u16, Vec<u32>)], Vec<u8>);

/// A little-endian TIFF file of pages, each of entries `(tag, type, numbers)` beside size and strip, and of
/// its pixels.
fn tiff(pages: &[Page<'_>]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (entries, pixels) in pages {
        let strip = file.len() as u32;
        file.extend(pixels);
        let mut all = vec![
            (256, 4, vec![SIZE[0]]),
            (257, 4, vec![SIZE[1]]),
            (259, 3, vec![1]),
            (273, 4, vec![strip]),
            (278, 4, vec![SIZE[1]]),
            (279, 4, vec![pixels.len() as u32]),
        ];
        all.extend(entries.iter().cloned());
        all.sort();
        let coded = |kind: u16, values: &[u32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()[..if kind == 3 { 2 } else { 4 }].to_vec()).collect()
        };
        let mut directory = (all.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, values) in all {
            let mut bytes = coded(kind, &values);
            if bytes.len() > 4 {
                let at = file.len() as u32;
                file.extend(&bytes);
                bytes = at.to_le_bytes().to_vec();
            }
            bytes.resize(4, 0);
            directory.extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &(values.len() as u32).to_le_bytes(), &bytes].concat());
        }
        file.resize(file.len().next_multiple_of(2), 0);
        let at = file.len() as u32;
        file[link..link + 4].copy_from_slice(&at.to_le_bytes());
        file.extend(directory);
        link = file.len();
        file.extend([0; 4]);
    }
    file
}

fn grey(bits: u32, format: u32) -> Vec<(u16, u16, Vec<u32>)> {
    vec![(258, 3, vec![bits]), (262, 3, vec![1]), (277, 3, vec![1]), (339, 3, vec![format])]
}

#[test]
fn tiff_of_numbers_and_palettes_is_read() {
    let scratch = Scratch::new();
    let picture = DynamicImage::from(portrait()).into_luma8();
    let of = |value: &dyn Fn(u8) -> Vec<u8>| picture.pixels().flat_map(|pixel| value(pixel.0[0])).collect::<Vec<u8>>();
    scratch.write("u8.tif", &tiff(&[(&grey(8, 1), of(&|value| vec![value]))]));
    scratch.write("f32.tif", &tiff(&[(&grey(32, 3), of(&|value| (f32::from(value) / 255.0).to_le_bytes().to_vec()))]));
    scratch.write("f32_wide.tif", &tiff(&[(&grey(32, 3), of(&|value| (f32::from(value) * 31.5 - 700.0).to_le_bytes().to_vec()))]));
    scratch.write("f64.tif", &tiff(&[(&grey(64, 3), of(&|value| (f64::from(value) / 255.0).to_le_bytes().to_vec()))]));
    scratch.write("u32.tif", &tiff(&[(&grey(32, 1), of(&|value| (u32::from(value) * 1000).to_le_bytes().to_vec()))]));
    scratch.write("i16.tif", &tiff(&[(&grey(16, 2), of(&|value| (i16::from(value) * 64 - 8000).to_le_bytes().to_vec()))]));
    let ramp: Vec<u32> = (0..3).flat_map(|_| (0..256).map(|level| (255 - level) * 257)).collect();
    let palette = vec![(258, 3, vec![8]), (262, 3, vec![3]), (277, 3, vec![1]), (320, 3, ramp)];
    scratch.write("palette.tif", &tiff(&[(&palette, of(&|value| vec![255 - value]))]));
    let names = ["u8.tif", "f32.tif", "f32_wide.tif", "f64.tif", "u32.tif", "i16.tif", "palette.tif"];
    let ended = detect(&scratch, &[&names[..], &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let objects = ended.objects();
    let want = face(&objects[0]);
    for (name, object) in names.iter().zip(&objects) {
        // Those that are stretched differ in contrast.
        assert_near(face(object), want, if ["f32.tif", "f64.tif", "palette.tif"].contains(name) { 0.5 } else { 6.0 });
    }
}

#[test]
fn other_pages_and_frames_are_named_and_searched_if_asked_for() {
    let scratch = Scratch::new();
    let grey_page = |picture: &RgbImage| DynamicImage::from(picture.clone()).into_luma8().into_raw();
    let (blank, portrait) = (RgbImage::new(SIZE[0], SIZE[1]), portrait());
    scratch.write("two.tif", &tiff(&[(&grey(8, 1), grey_page(&blank)), (&grey(8, 1), grey_page(&portrait))]));
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut gif, 10);
    for picture in [&blank, &portrait, &blank] {
        encoder.encode_frame(Frame::new(DynamicImage::from(picture.clone()).into_rgba8())).unwrap();
    }
    drop(encoder);
    scratch.write("three.gif", &gif);
    for (name, count, told) in [("two.tif", 2, "first of 2 pages"), ("three.gif", 3, "first of 3 frames")] {
        let first = detect(&scratch, &[name, "--json"]);
        assert_eq!(first.code, Some(1), "{}", first.stderr);
        assert!(first.stderr.contains(told), "{}", first.stderr);
        let all = detect(&scratch, &[name, "--json", "--frames", "all", "--crops", "crops", "--annotate", "drawn"]);
        assert_eq!(all.code, Some(0), "{}", all.stderr);
        let objects = all.objects();
        assert_eq!(objects.len(), count);
        assert_eq!((&objects[1]["frame"], &objects[1]["frames"]), (&2.into(), &count.into()));
        face(&objects[1]);
        let stem = name.split('.').next().unwrap();
        assert_eq!(objects[1]["crops"][0], format!("crops/{stem}.2_1.png"));
        assert!(scratch.path(&format!("drawn/{stem}.{count}.png")).is_file());
        assert_eq!(detect(&scratch, &[name, "--frames", "all", "--csv"]).stdout.lines().nth(1).unwrap().split(',').next_back(), Some("2"));
    }
    // All of them together may not have more pixels than one may have.
    let few = detect(&scratch, &["three.gif", "--frames", "all", "--json", "--max-pixels", "0.08"]);
    assert!(few.objects().len() == 2 && few.stderr.contains("only the first 2 of 3"), "{}", few.stderr);
}
