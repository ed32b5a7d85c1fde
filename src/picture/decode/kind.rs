//! What a file is: by its first bytes, or in a folder by its name.

use std::path::Path;

use image::ImageFormat;

/// What can be told of a file by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// What the image library reads.
    Image(ImageFormat),
    /// AV1 in the boxes of HEIF.
    Avif,
    /// HEVC in the boxes of HEIF.
    Heic,
    /// A picture of a kind that is not read here, in words.
    Foreign(&'static str),
}

/// Names of files that are pictures, read here or not, by extension.
const READ: [&str; 13] = ["jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "avif", "bmp", "dib", "gif", "tif", "tiff"];
const FOREIGN: [&str; 42] = [
    "heic", "heif", "hif", "avifs", "jxl", "jp2", "j2k", "jpf", "jpx", "jpm", "jxr", "wdp", "hdp", "psd", "psb", "xcf", "exr", "hdr",
    "tga", "ico", "cur", "qoi", "dds", "pnm", "pbm", "pgm", "ppm", "pam", "pcx", "cr2", "cr3", "crw", "nef", "nrw", "arw", "dng", "orf",
    "rw2", "raf", "pef", "srw", "ff",
];

/// Whether a file is a picture by its name: so that a damaged one, or one of a kind that is not read, is
/// named and not passed over.
pub fn is_picture_name(path: &Path) -> bool {
    let Some(extension) = path.extension() else { return false };
    READ.iter().chain(&FOREIGN).any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether a file is surely a picture by its first 64 bytes, read here or not. BMP is not told so: texts may
/// begin with "BM" too.
pub fn is_picture(head: &[u8]) -> bool {
    kind(head).is_some_and(|kind| kind != FileKind::Image(ImageFormat::Bmp) || is_bmp(head))
}

/// Whether `head`, the first bytes of a file, are those of a picture that is read here, and of nothing else.
pub fn is_readable(head: &[u8]) -> bool {
    is_picture(head) && !matches!(kind(head), Some(FileKind::Foreign(_)) | None)
}

/// A BMP header tells the length of a second one, of which there are seven.
fn is_bmp(head: &[u8]) -> bool {
    head.get(14..18).is_some_and(|length| matches!(length, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

pub(super) fn kind(head: &[u8]) -> Option<FileKind> {
    if head.get(4..8) == Some(b"ftyp") {
        return brand(head);
    }
    match image::guess_format(head) {
        Ok(format) if format.reading_enabled() => Some(FileKind::Image(format)),
        Ok(ImageFormat::OpenExr) => Some(FileKind::Foreign("an OpenEXR picture")),
        Ok(ImageFormat::Hdr) => Some(FileKind::Foreign("a Radiance HDR picture")),
        Ok(ImageFormat::Pnm) => Some(FileKind::Foreign("a PNM picture")),
        Ok(ImageFormat::Ico) => Some(FileKind::Foreign("an icon")),
        Ok(ImageFormat::Qoi) => Some(FileKind::Foreign("a QOI picture")),
        Ok(ImageFormat::Dds) => Some(FileKind::Foreign("a DDS texture")),
        _ if head.starts_with(b"\xff\x0a") || head.starts_with(b"\0\0\0\x0cJXL ") => Some(FileKind::Foreign("a JPEG XL picture")),
        _ if head.starts_with(b"\0\0\0\x0cjP  ") || head.starts_with(b"\xff\x4f\xff\x51") => Some(FileKind::Foreign("a JPEG 2000 picture")),
        _ if head.starts_with(b"8BPS\0") => Some(FileKind::Foreign("a Photoshop picture")),
        _ if head.starts_with(b"FUJIFILMCCD-RAW") => Some(FileKind::Foreign("a raw picture of a camera")),
        _ => None,
    }
}

/// By the brands of an ISO file: its own, then those it is compatible with.
fn brand(head: &[u8]) -> Option<FileKind> {
    let length = u32::from_be_bytes(*head.first_chunk()?) as usize;
    let brands = head.get(8..length.min(head.len()))?.as_chunks::<4>().0;
    let of = |brand: &[u8; 4]| match brand {
        b"avif" | b"avis" => Some(FileKind::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(FileKind::Heic),
        b"crx " => Some(FileKind::Foreign("a raw picture of a camera")),
        _ => None,
    };
    // Written as just HEIF, without a word on what is in it: mostly HEVC.
    let plain = || matches!(brands.first(), Some(b"mif1" | b"msf1" | b"miaf")).then_some(FileKind::Heic);
    brands.iter().find_map(of).or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ftyp(brands: &str) -> Vec<u8> {
        [&(8 + brands.len() as u32).to_be_bytes(), &b"ftyp"[..], brands.as_bytes()].concat()
    }

    #[test]
    fn heif_is_told_by_its_brands() {
        assert_eq!(kind(&ftyp("avif\0\0\0\0mif1miaf")), Some(FileKind::Avif));
        assert_eq!(kind(&ftyp("mif1\0\0\0\0avif")), Some(FileKind::Avif));
        assert_eq!(kind(&ftyp("heic\0\0\0\0mif1heic")), Some(FileKind::Heic));
        assert_eq!(kind(&ftyp("mif1\0\0\0\0miaf")), Some(FileKind::Heic));
        assert_eq!(kind(&ftyp("isom\0\0\0\0mp42")), None, "a film");
        assert_eq!(kind(b"\0\0\0\x08ftyp"), None);
    }

    #[test]
    fn pictures_are_told_from_texts() {
        for foreign in [&b"8BPS\0\x01"[..], b"\0\0\0\x0cJXL \r\n", b"\0\0\0\x0cjP  \r\n", b"FUJIFILMCCD-RAW 0201"] {
            assert!(is_picture(foreign) && !is_readable(foreign), "{foreign:?}");
        }
        assert!(!is_picture(b"BM is how this text begins") && !is_picture(b"") && !is_picture(b"GIF"));
        let bmp = [b"BM".as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]].concat();
        assert!(is_readable(&bmp) && is_readable(b"\xff\xd8\xff\xe0"));
    }

    #[test]
    fn names_tell_pictures_that_are_read_and_others() {
        for name in ["a.JPG", "b.heic", "c.AVIF", "d.jxl", "e.Cr3", "f.tga"] {
            assert!(is_picture_name(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "b", ".png", "c.mp4", "d.json", "e.svg"] {
            assert!(!is_picture_name(Path::new(name)), "{name}");
        }
    }
}
