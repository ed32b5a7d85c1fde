//! What is printed for each input: lines for people, JSON objects or CSV rows. Text in, text out; nothing is
//! written here.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mtcmcn::Face;
use mtcmcn::data::{Detection, ImageDetections, json};
use serde_json::{Map, Value};

use super::pictures::Written;
use super::place::FramePlace;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Columns of numbers with the path last, so that any path fits.
    Table,
    /// One JSON object a line and input.
    Json,
    /// One row a face, after a header.
    Csv(MoreColumns),
}

/// What was found in one image.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The image, as the user named it.
    pub path: &'a Path,
    /// Columns of the upright image, px.
    pub width: u32,
    /// Rows of the upright image, px.
    pub height: u32,
    /// Best first.
    pub faces: &'a [Face],
    /// Whether faces may be missing for lack of room.
    pub truncated: bool,
    /// Which picture of its file it is.
    pub place: FramePlace,
    /// By face, the number under which a video shows it; empty for pictures.
    pub tracks: &'a [Option<u64>],
    /// Pictures that were made of it.
    pub written: &'a Written,
    /// What it was searched on.
    pub engine: Option<&'a str>,
    /// The GPU of that, if it is one.
    pub adapter: Option<&'a str>,
}

impl Found<'_> {
    /// Number of the track of the face at `index`, if it has one.
    fn track(&self, index: usize) -> Option<u64> {
        self.tracks.get(index).copied().flatten()
    }
}

/// What rows of CSV tell besides, if any input of the run may have more than one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoreColumns {
    /// Nothing.
    None,
    /// The number of the page.
    Page,
    /// The number of the frame, its time, and the number of the face's track.
    Moment,
}

impl MoreColumns {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Page => &["frame"],
            Self::Moment => &["frame", "seconds", "track"],
        }
    }
}

/// Columns of the CSV: of the image, then of the face, the landmarks in the order of
/// [`mtcmcn::geometry::Landmarks`].
const CSV_HEADER: [&str; 19] = [
    "path",
    "width",
    "height",
    "face",
    "score",
    "x1",
    "y1",
    "x2",
    "y2",
    "left_eye_x",
    "left_eye_y",
    "right_eye_x",
    "right_eye_y",
    "nose_x",
    "nose_y",
    "left_mouth_x",
    "left_mouth_y",
    "right_mouth_x",
    "right_mouth_y",
];

impl OutputFormat {
    /// What stands before the first result.
    ///
    /// # Errors
    ///
    /// None in practice; the encoder's signature has one. So with the other methods.
    pub fn header(self) -> Result<Vec<u8>> {
        match self {
            Self::Table => {
                Ok(format!("face   score {:>9} {:>9} {:>9} {:>9} {:>11}  path\n", "left", "top", "right", "bottom", "size").into())
            }
            Self::Json => Ok(Vec::new()),
            Self::Csv(more) => csv_rows([CSV_HEADER.iter().chain(more.names()).map(|name| name.as_bytes().to_vec())]),
        }
    }

    /// The result for one image.
    pub fn found(self, found: &Found) -> Result<Vec<u8>> {
        match self {
            Self::Table => Ok(table(found).into()),
            Self::Json => Ok(json_line(found).into()),
            Self::Csv(more) => csv_rows(found.faces.iter().enumerate().map(|(index, face)| csv_row(found, index, face, more))),
        }
    }

    /// The result for an input that gave no image. Only JSON has one: in the other formats every line is a
    /// result.
    pub fn refused(self, path: &Path, error: &str) -> Result<Vec<u8>> {
        match self {
            Self::Table | Self::Csv(_) => Ok(Vec::new()),
            Self::Json => Ok(json::refused_line(&path.to_string_lossy(), error, &raw_path("path", path)).into()),
        }
    }
}

/// `path` for people: on one line, and without what a terminal might obey.
pub fn printable(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// The same for the table, with `\xE9` for each byte that is no text, so that any path can be told.
fn spelled(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += &chunk.valid().replace(char::is_control, "\u{fffd}");
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02X}"));
    }
    text
}

/// The fields that tell `path` exactly, under names that begin with `name`: none if it is UTF-8, as a field
/// of that name tells it then.
fn raw_path(name: &str, path: &Path) -> Map<String, Value> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let raw = std::str::from_utf8(bytes).is_err().then(|| (format!("{name}_base64"), STANDARD.encode(bytes).into()));
    raw.into_iter().collect()
}

fn table(found: &Found) -> String {
    let mut path = spelled(found.path);
    let _ = match found.place {
        FramePlace::Only => Ok(()),
        FramePlace::Page { number, count } => write!(path, " [{number}/{count}]"),
        FramePlace::Moment { number, seconds: None } => write!(path, " [{number}]"),
        FramePlace::Moment { number, seconds: Some(seconds) } => write!(path, " [{number}, {seconds:.3} s]"),
    };
    let arrow = |files: &[&Path]| match files {
        [] => String::new(),
        files => format!(" -> {}", files.iter().map(|file| spelled(file)).collect::<Vec<_>>().join(", ")),
    };
    let whole = found.written.annotated.as_deref();
    if found.faces.is_empty() {
        return format!("{:<64}  {path}{}\n", "no faces", arrow(whole.as_slice()));
    }
    let mut text = String::new();
    for (index, face) in found.faces.iter().enumerate() {
        let (b, number) = (face.bounding_box, index + 1);
        let size = format!("{:.0}x{:.0}", b.width(), b.height());
        let crop = found.written.crops.get(index).and_then(Option::as_deref);
        let files: Vec<&Path> = whole.filter(|_| index == 0).into_iter().chain(crop).collect();
        let files = arrow(&files);
        let track = found.track(index).map_or_else(String::new, |id| format!(" track {id}"));
        let _ = writeln!(
            text,
            "{number:>4} {:>7.5} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {size:>11}  {path}{track}{files}",
            face.score, b.x1, b.y1, b.x2, b.y2
        );
    }
    text
}

/// What other programs share, and what only we say.
fn json_line(found: &Found) -> String {
    let mut more = raw_path("path", found.path);
    let mut tell = |name: &str, value: Option<Value>| more.extend(value.map(|value| (name.to_owned(), value)));
    match found.place {
        FramePlace::Only => {}
        FramePlace::Page { number, count } => {
            tell("frame", Some(number.into()));
            tell("frames", Some(count.into()));
        }
        FramePlace::Moment { number, seconds } => {
            tell("frame", Some(number.into()));
            tell("seconds", seconds.map(Into::into));
            tell("tracks", Some(found.tracks.into()));
        }
    }
    tell("engine", found.engine.map(Into::into));
    tell("adapter", found.adapter.map(Into::into));
    let text = |path: &Path| Value::from(path.to_string_lossy());
    tell("annotated", found.written.annotated.as_deref().map(text));
    let crops = found.written.crops.iter().map(|crop| crop.as_deref().map_or(Value::Null, text));
    tell("crops", (!found.written.crops.is_empty()).then(|| crops.collect()));
    json::detection_line_with(&detections(found), &more)
}

/// `found` in the form that other programs share.
fn detections(found: &Found) -> ImageDetections {
    let face = |face: &Face| Detection::new(face.bounding_box, face.score, face.landmarks);
    ImageDetections {
        path: found.path.to_string_lossy().into_owned(),
        size: Some([found.width, found.height]),
        faces: found.faces.iter().map(face).collect(),
        truncated: found.truncated,
        line: 0,
    }
}

/// A path is told byte by byte, UTF-8 or not.
fn csv_row(found: &Found, index: usize, face: &Face, more: MoreColumns) -> Vec<Vec<u8>> {
    let b = face.bounding_box;
    let mut row = vec![found.width.to_string(), found.height.to_string(), (index + 1).to_string()];
    row.extend([face.score, b.x1, b.y1, b.x2, b.y2].map(|value| value.to_string()));
    row.extend(face.landmarks.iter().flat_map(|point| [point.x, point.y]).map(|value| value.to_string()));
    let seconds = if let FramePlace::Moment { seconds, .. } = found.place { seconds } else { None };
    let [number, track] = [found.place.number(), found.track(index)].map(|number| number.map(|number| number.to_string()));
    let besides = [number, seconds.map(|seconds| seconds.to_string()), track];
    row.extend(besides.into_iter().take(more.names().len()).map(Option::unwrap_or_default));
    std::iter::once(found.path.as_os_str().as_encoded_bytes().to_vec()).chain(row.into_iter().map(String::into_bytes)).collect()
}

fn csv_rows<R: IntoIterator<Item = Vec<u8>>>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.into_iter().collect::<Vec<_>>())?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use glam::Vec2;
    use mtcmcn::geometry::BoundingBox;

    use super::*;

    const FACE: Face = Face {
        bounding_box: BoundingBox { x1: -0.5, y1: 2.25, x2: 30.1, y2: 40.0 },
        score: 0.999_974_4,
        landmarks: [Vec2::new(1.0, 2.0), Vec2::new(3.5, 4.0), Vec2::new(5.0, 6.0), Vec2::new(7.0, 8.0), Vec2::new(9.0, 10.1)],
    };

    const CSV: OutputFormat = OutputFormat::Csv(MoreColumns::None);

    fn found<'a>(path: &'a str, faces: &'a [Face]) -> Found<'a> {
        static NOTHING: Written = Written { annotated: None, crops: Vec::new() };
        let written = &NOTHING;
        Found {
            path: Path::new(path),
            width: 64,
            height: 48,
            faces,
            truncated: false,
            place: FramePlace::Only,
            tracks: &[],
            written,
            engine: None,
            adapter: None,
        }
    }

    fn text(bytes: Result<Vec<u8>>) -> String {
        String::from_utf8(bytes.expect("plain data")).expect("text")
    }

    #[test]
    fn json_is_one_object_a_line_with_the_shortest_numbers() {
        assert_eq!(
            text(OutputFormat::Json.found(&found("a \"b\"\n.png", &[FACE]))),
            concat!(
                r#"{"path":"a \"b\"\n.png","width":64,"height":48,"faces":[{"box":[-0.5,2.25,30.1,40.0],"score":0.9999744,"#,
                r#""landmarks":[[1.0,2.0],[3.5,4.0],[5.0,6.0],[7.0,8.0],[9.0,10.1]]}],"truncated":false}"#,
                "\n"
            )
        );
        assert_eq!(
            text(OutputFormat::Json.found(&found("b.png", &[]))),
            "{\"path\":\"b.png\",\"width\":64,\"height\":48,\"faces\":[],\"truncated\":false}\n"
        );
        assert_eq!(text(OutputFormat::Json.refused(Path::new("c"), "gone")), "{\"path\":\"c\",\"error\":\"gone\"}\n");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let header = text(CSV.header());
        assert!(header.starts_with("path,width,height,face,score,x1,y1,x2,y2,left_eye_x,"), "{header}");
        assert_eq!(header.lines().count(), 1);
        let path = "Smith, \"Jo\".png";
        assert_eq!(
            text(CSV.found(&found(path, &[FACE, FACE]))),
            "\"Smith, \"\"Jo\"\".png\",64,48,1,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n\
             \"Smith, \"\"Jo\"\".png\",64,48,2,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n"
        );
        assert_eq!(text(CSV.found(&found(path, &[]))), "");
        assert_eq!(text(CSV.refused(Path::new(path), "gone")), "");
    }

    #[test]
    fn the_table_lines_up_and_names_images_without_faces() {
        let header = text(OutputFormat::Table.header());
        let lines = [OutputFormat::Table.found(&found("p.png", &[FACE])), OutputFormat::Table.found(&found("p.png", &[]))];
        let [one, none] = lines.map(text);
        assert_eq!(one, "   1 0.99997      -0.5       2.2      30.1      40.0       31x38  p.png\n");
        assert!(none.starts_with("no faces "), "{none}");
        let column = |line: &str, what| line.find(what).expect("is there");
        assert_eq!(column(&header, "path"), column(&one, "p.png"));
        assert_eq!(column(&header, "path"), column(&none, "p.png"));
    }

    #[test]
    fn a_file_name_cannot_command_the_terminal() {
        assert_eq!(printable(Path::new("a\u{1b}[31m\n.png")), "a\u{fffd}[31m\u{fffd}.png");
    }

    #[test]
    fn what_was_written_and_with_what_is_told() {
        let written = Written { annotated: Some("out/p.png".into()), crops: vec![Some("out/p_1.png".into())] };
        let found = Found {
            written: &written,
            engine: Some("GPU"),
            adapter: Some("A"),
            place: FramePlace::Page { number: 2, count: 3 },
            ..found("p.gif", &[FACE])
        };
        let object: Value = serde_json::from_str(&text(OutputFormat::Json.found(&found))).expect("JSON");
        assert_eq!((&object["annotated"], &object["crops"][0]), (&"out/p.png".into(), &"out/p_1.png".into()));
        assert_eq!((&object["engine"], &object["adapter"], &object["frame"]), (&"GPU".into(), &"A".into(), &2.into()));
        assert!(text(OutputFormat::Table.found(&found)).ends_with("  p.gif [2/3] -> out/p.png, out/p_1.png\n"));
        assert!(text(OutputFormat::Csv(MoreColumns::Page).found(&found)).ends_with(",2\n"));
        assert!(text(OutputFormat::Csv(MoreColumns::Page).header()).ends_with(",frame\n"));
    }

    #[test]
    fn a_frame_of_a_video_has_its_number_its_time_and_tracks() {
        let place = FramePlace::Moment { number: 37, seconds: Some(1.44) };
        let frame = Found { place, tracks: &[Some(5)], ..found("f.mp4", &[FACE]) };
        let object: Value = serde_json::from_str(&text(OutputFormat::Json.found(&frame))).expect("JSON");
        assert_eq!((&object["frame"], &object["seconds"], &object["tracks"]), (&37.into(), &1.44.into(), &serde_json::json!([5])));
        assert!(text(OutputFormat::Table.found(&frame)).ends_with("  f.mp4 [37, 1.440 s] track 5\n"));
        let csv = OutputFormat::Csv(MoreColumns::Moment);
        assert!(text(csv.header()).ends_with(",frame,seconds,track\n"));
        assert!(text(csv.found(&frame)).ends_with(",37,1.44,5\n"));
        let timeless = Found { place: FramePlace::Moment { number: 1, seconds: None }, ..frame };
        assert!(text(csv.found(&timeless)).ends_with(",1,,5\n"));
        assert!(text(csv.found(&found("p.png", &[FACE]))).ends_with(",,,\n"), "a picture beside a video");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_survives() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
        let found = Found { path, ..found("", &[FACE]) };
        assert!(text(OutputFormat::Table.found(&found)).ends_with("  caf\\xE9.png\n"));
        assert!(CSV.found(&found).expect("plain data").starts_with(b"caf\xe9.png,64,"));
        let object: Value = serde_json::from_str(&text(OutputFormat::Json.found(&found))).expect("JSON");
        assert_eq!(object["path_base64"], STANDARD.encode(b"caf\xe9.png"));
    }
}
