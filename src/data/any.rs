//! Annotations of boxes in whatever form they are, told by name and content, or as it is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use walkdir::WalkDir;

use super::fault::read_file;
use super::{AnnotatedImage, Annotation, DataError, Faults, coco, json, labelme, points, retinaface, voc, wider, yolo};
use crate::files::FileError;

/// A form of annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyForm {
    /// WIDER FACE's text.
    Wider,
    /// RetinaFace's `label.txt`.
    RetinaFace,
    /// Our own JSON lines.
    Json,
    /// COCO's JSON.
    Coco,
    /// labelme's JSON: a file, or a folder of them.
    Labelme,
    /// Pascal VOC's XML: a file, or a folder of them.
    Voc,
    /// YOLO's labels: a folder of them.
    Yolo,
    /// 300-W's `.pts`: a file, or a folder of them.
    Pts,
    /// WFLW's list.
    Wflw,
}

impl AnyForm {
    /// All of them by name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("wider", Self::Wider),
        ("retinaface", Self::RetinaFace),
        ("json", Self::Json),
        ("coco", Self::Coco),
        ("labelme", Self::Labelme),
        ("voc", Self::Voc),
        ("yolo", Self::Yolo),
        ("pts", Self::Pts),
        ("wflw", Self::Wflw),
    ];
}

impl FromStr for AnyForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, form)| *form).ok_or_else(|| format!("none of {}", Self::ALL.map(|(known, _)| known).join(", ")))
    }
}

/// The annotations at `path`, a file or folder, of images below `images`; in the form `form`, or in that
/// which they seem to have.
///
/// # Errors
///
/// [`DataError`] if something cannot be read or is of no form, or for the first fault if `faults` are strict.
pub fn read(path: &Path, images: &Path, form: Option<AnyForm>, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    if path.is_dir() {
        return read_folder(path, images, form, faults);
    }
    let bytes = read_file(path)?;
    let form = form.unwrap_or_else(|| form_of(path, &bytes));
    let mut faults = faults.of(path);
    match form {
        AnyForm::Wider => wider::parse(&bytes, &mut faults),
        AnyForm::RetinaFace => retinaface::parse(&bytes, &mut faults),
        AnyForm::Json => json::parse_annotations(&bytes, &mut faults),
        AnyForm::Coco => coco::parse(&bytes, &mut faults),
        AnyForm::Labelme => labelme::parse(&bytes, &mut faults),
        AnyForm::Voc => voc::parse(&bytes, &mut faults),
        AnyForm::Wflw => points::parse_wflw(&bytes, &mut faults),
        AnyForm::Pts => {
            let face = points::parse_pts(&bytes, &mut faults)?;
            let stem = Path::new(path.file_stem().unwrap_or_default());
            Ok(vec![AnnotatedImage { path: picture_of(images, stem), faces: vec![face], line: 0 }])
        }
        AnyForm::Yolo => Err(faults.unusable("is one file of YOLO's labels: give the folder of them")),
    }
}

/// By the name, or else by how it begins.
fn form_of(path: &Path, bytes: &[u8]) -> AnyForm {
    let named = |extension: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension));
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match start.first() {
        Some(b'<') => AnyForm::Voc,
        Some(b'{') => match whole_object(bytes) {
            Some(object) if object.get("shapes").is_some() => AnyForm::Labelme,
            Some(object) if object.get("images").is_some() => AnyForm::Coco,
            _ => AnyForm::Json,
        },
        Some(b'#') => AnyForm::RetinaFace,
        None if named("json") || named("ndjson") || named("jsonl") => AnyForm::Json,
        _ if named("pts") => AnyForm::Pts,
        _ if points::is_wflw(start) => AnyForm::Wflw,
        _ => AnyForm::Wider,
    }
}

/// The object that is all of `bytes`: not so of JSON lines, but of a single one.
fn whole_object(bytes: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // A line that is an object of ours is told without reading on.
    if let Ok(line) = serde_json::from_slice::<serde_json::Map<_, _>>(first)
        && line.contains_key("path")
    {
        return None;
    }
    serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()
}

/// All annotation files below `folder`, in the order of their names.
fn read_folder(folder: &Path, images: &Path, form: Option<AnyForm>, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    const EXTENSIONS: [(&str, AnyForm); 4] =
        [("xml", AnyForm::Voc), ("json", AnyForm::Labelme), ("pts", AnyForm::Pts), ("txt", AnyForm::Yolo)];
    let (names, mut found) = (class_names(folder), Vec::new());
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| FileError::Read { path: error.path().unwrap_or(folder).into(), source: error.into() })?;
        let path = entry.path();
        let own = path.extension().and_then(|own| EXTENSIONS.iter().find(|(known, _)| own.eq_ignore_ascii_case(known)));
        let Some(&(_, own)) = own.filter(|(_, own)| form.is_none_or(|form| form == *own) && entry.file_type().is_file()) else { continue };
        let below = path.strip_prefix(folder).unwrap_or(path).with_extension("");
        let parent = below.parent().unwrap_or(Path::new(""));
        if own == AnyForm::Yolo {
            if path.file_name().is_some_and(|name| matches!(&*name.to_string_lossy(), "classes.txt" | "train.txt" | "val.txt" | "test.txt"))
            {
                continue;
            }
            found.extend(read_yolo(path, &below, images, &names, faults)?);
            continue;
        }
        // A single file that is none is skipped, as a bad line of a list is.
        match read(path, images, Some(own), faults) {
            Ok(of_file) => found.extend(of_file.into_iter().map(|image| match own {
                AnyForm::Pts => AnnotatedImage { path: picture_of(images, &below), ..image },
                _ => AnnotatedImage { path: joined(parent, &image.path), ..image },
            })),
            Err(DataError::Unusable { what, .. }) => faults.of(path).skipped(0, format!("{what}: skipped"))?,
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() {
        faults
            .of(folder)
            .noted(0, "holds no annotations: .xml of Pascal VOC, .json of labelme, .pts of 300-W or .txt of YOLO are expected")?;
    }
    Ok(found)
}

fn read_yolo(path: &Path, below: &Path, images: &Path, names: &[String], faults: &mut Faults) -> Result<Option<AnnotatedImage>, DataError> {
    let picture = picture_of(images, below);
    match image::image_dimensions(images.join(&picture)) {
        Ok((width, height)) => {
            let faces: Vec<Annotation> = yolo::parse(&read_file(path)?, [width, height], names, &mut faults.of(path))?;
            Ok(Some(AnnotatedImage { path: picture, faces, line: 0 }))
        }
        Err(error) => {
            faults.of(path).skipped(0, format!("the size of its picture {:?} cannot be told ({error}): skipped", images.join(&picture)))?;
            Ok(None)
        }
    }
}

/// Names of YOLO's classes, which lie in the folder of labels or above it.
fn class_names(folder: &Path) -> Vec<String> {
    let places = [folder.join("classes.txt"), folder.join("../classes.txt"), folder.join("../obj.names")];
    places.iter().find_map(|place| fs::read_to_string(place).ok()).map(|text| yolo::names(&text)).unwrap_or_default()
}

/// `below` with the extension of the picture that is there below `images`.
fn picture_of(images: &Path, below: &Path) -> String {
    let with = |extension: &str| PathBuf::from(format!("{}.{extension}", below.to_string_lossy()));
    let known = ["jpg", "jpeg", "png", "JPG", "bmp", "webp", "tif", "gif"].map(with);
    let found = known.iter().find(|path| images.join(path).is_file()).unwrap_or(&known[0]);
    super::image_path(&found.to_string_lossy())
}

fn joined(parent: &Path, path: &str) -> String {
    super::image_path(&parent.join(path).to_string_lossy())
}
