//! What is kept: snapshots, aligned crops, and a recording of a live run as `mtcmcn detect --json` prints it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, Write as _};
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, codecs::png::PngEncoder};
use mtcmcn::data::{Detection, ImageDetections, json};
use mtcmcn::files;
use mtcmcn::picture::align;
use mtcmcn::{Detections, Face, Frame};

/// Names with numbers that are tried before giving up.
const MOST_NAMES: u32 = 100_000;

/// A path in `folder` that nothing has yet: `stem-1ending`, `stem-2ending`, ...
///
/// # Errors
///
/// If the folder cannot be made, or is full of such names.
pub fn fresh(folder: &Path, stem: &str, ending: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut paths = (1..MOST_NAMES).map(|number| folder.join(format!("{stem}-{number}{ending}")));
    paths.find(|path| !path.exists()).ok_or_else(|| io::Error::other(format!("{} is full of snapshots", folder.display())))
}

/// Writes the frame as the detector saw it, with what was found beside it in a `.json` file; returns the
/// picture's path.
///
/// # Errors
///
/// What the system says; no half-written file stays.
pub fn snapshot(folder: &Path, frame: &Frame, detections: &Detections) -> io::Result<PathBuf> {
    let path = fresh(folder, "snapshot", ".png")?;
    let mut png = Vec::new();
    let rgb: Vec<u8> = frame.rgba().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let encoded = PngEncoder::new(&mut png).write_image(&rgb, frame.width(), frame.height(), ExtendedColorType::Rgb8);
    encoded.map_err(io::Error::other)?;
    files::write_whole(&path, &png).map_err(io::Error::other)?;
    let line = line(&path.to_string_lossy(), frame, detections);
    files::write_whole(&path.with_extension("json"), line.as_bytes()).map_err(io::Error::other)?;
    Ok(path)
}

/// Writes the view with all that is drawn over it; returns its path.
///
/// # Errors
///
/// What the system says; no half-written file stays.
pub fn view(folder: &Path, size: [usize; 2], rgb: &[u8]) -> io::Result<PathBuf> {
    let path = fresh(folder, "view", ".png")?;
    let mut png = Vec::new();
    let encoded = PngEncoder::new(&mut png).write_image(rgb, size[0] as u32, size[1] as u32, ExtendedColorType::Rgb8);
    encoded.map_err(io::Error::other)?;
    files::write_whole(&path, &png).map_err(io::Error::other)?;
    Ok(path)
}

/// Writes every face aligned, 112 x 112 pixels; returns how many.
///
/// # Errors
///
/// What the system says.
pub fn crops(folder: &Path, frame: &Frame, faces: &[Face]) -> io::Result<usize> {
    let mut count = 0;
    for crop in faces.iter().filter_map(|face| align::crop_112(frame, &face.landmarks)) {
        let path = fresh(folder, "crop", ".png")?;
        let mut png = Cursor::new(Vec::new());
        crop.write_to(&mut png, ImageFormat::Png).map_err(io::Error::other)?;
        files::write_whole(&path, png.get_ref()).map_err(io::Error::other)?;
        count += 1;
    }
    Ok(count)
}

/// One line of a recording.
pub fn line(name: &str, frame: &Frame, detections: &Detections) -> String {
    let face = |face: &Face| Detection::new(face.bounding_box, face.score, face.landmarks);
    json::detection_line(&ImageDetections {
        path: name.to_owned(),
        size: Some([frame.width(), frame.height()]),
        faces: detections.faces.iter().map(face).collect(),
        truncated: detections.truncated,
        ..ImageDetections::default()
    })
}

/// A recording under way. It grows under a name of its own and gets its real one when it is finished.
#[derive(Debug)]
pub struct Recording {
    file: Option<BufWriter<File>>,
    growing: PathBuf,
    path: PathBuf,
    /// Frames written.
    pub frames: u64,
}

impl Recording {
    /// Starts a file in `folder`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let path = fresh(folder, "recording", ".ndjson")?;
        let growing = path.with_extension("ndjson.part");
        let file = Some(BufWriter::new(File::create(&growing)?));
        Ok(Self { file, growing, path, frames: 0 })
    }

    /// Appends one frame.
    ///
    /// # Errors
    ///
    /// What the system says, such as a full disk.
    pub fn push(&mut self, name: &str, frame: &Frame, detections: &Detections) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(line(name, frame, detections).as_bytes())?;
            self.frames += 1;
        }
        Ok(())
    }

    /// Ends the recording and gives the file its name, which is returned.
    ///
    /// # Errors
    ///
    /// What the system says; what was written so far stays under the name that ends in `.part`.
    pub fn finish(mut self) -> io::Result<PathBuf> {
        self.end().map(|()| self.path.clone())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.growing, &self.path)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{}: {error}", self.growing.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> (Frame, Detections) {
        let frame = Frame::from_rgba(200, 100, vec![7; 200 * 100 * 4]).expect("the length fits");
        let bounding_box = mtcmcn::geometry::BoundingBox { x1: 1.5, y1: 2.0, x2: 90.0, y2: 95.0 };
        let face = Face { bounding_box, score: 0.75, landmarks: mtcmcn::geometry::ALIGNED_112 };
        (frame, Detections { faces: vec![face], ..Detections::default() })
    }

    #[test]
    fn a_snapshot_is_the_frame_with_its_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (frame, detections) = found();
        let first = snapshot(&folder.path().join("new"), &frame, &detections).expect("writable");
        let second = snapshot(&folder.path().join("new"), &frame, &detections).expect("writable");
        assert_ne!(first, second);
        let back = mtcmcn::picture::decode::read(&first, 1 << 20).expect("an image");
        assert_eq!((back.width(), back.height(), &back.rgba()[..3]), (200, 100, &[7, 7, 7][..]));
        let text = fs::read_to_string(first.with_extension("json")).expect("a file");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&value["faces"][0]["box"][2], &value["width"]), (&90.0.into(), &200.into()));
    }

    #[test]
    fn a_recording_has_one_line_a_frame_in_the_form_of_detect() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (frame, detections) = found();
        let mut recording = Recording::start(folder.path()).expect("writable");
        recording.push("synthetic #0", &frame, &detections).expect("writable");
        recording.push("synthetic #1", &frame, &Detections::default()).expect("writable");
        let path = recording.finish().expect("writable");
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().nth(1), Some(r#"{"path":"synthetic #1","width":200,"height":100,"faces":[],"truncated":false}"#));
        assert_eq!((text.lines().count(), fs::read_dir(folder.path()).expect("readable").count()), (2, 1));
    }

    #[test]
    fn crops_are_written_for_faces_that_can_be_aligned() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (frame, mut detections) = found();
        detections.faces.push(Face { landmarks: [detections.faces[0].landmarks[0]; 5], ..detections.faces[0] });
        assert_eq!(crops(folder.path(), &frame, &detections.faces).expect("writable"), 1);
    }
}
