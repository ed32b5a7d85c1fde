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

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Columns of numbers with the path last, so that any path fits.
    Table,
    /// One JSON object a line and input.
    Json,
    /// One row a face, after a header.
    Csv,
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
    /// Which of how many pictures of its file, if there are several.
    pub of: Option<[usize; 2]>,
    /// Pictures that were made of it.
    pub written: &'a Written,
    /// What it was searched on.
    pub engine: Option<&'a str>,
    /// The GPU of that, if it is one.
    pub adapter: Option<&'a str>,
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
    pub fn header(self, all_frames: bool) -> Result<Vec<u8>> {
        match self {
            Self::Table => {
                Ok(format!("face   score {:>9} {:>9} {:>9} {:>9} {:>11}  path\n", "left", "top", "right", "bottom", "size").into())
            }
            Self::Json => Ok(Vec::new()),
            Self::Csv => csv_rows([CSV_HEADER.into_iter().chain(all_frames.then_some("frame")).map(|name| name.as_bytes().to_vec())]),
        }
    }

    /// The result for one image.
    pub fn found(self, found: &Found) -> Result<Vec<u8>> {
        match self {
            Self::Table => Ok(table(found).into()),
            Self::Json => Ok(json_line(found).into()),
            Self::Csv => csv_rows(found.faces.iter().enumerate().map(|(index, face)| csv_row(found, index + 1, face))),
        }
    }

    /// The result for an input that gave no image. Only JSON has one: in the other formats every line is a
    /// result.
    pub fn refused(self, path: &Path, error: &str) -> Result<Vec<u8>> {
        match self {
            Self::Table | Self::Csv => Ok(Vec::new()),
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
    if let Some([number, count]) = found.of {
        let _ = write!(path, " [{number}/{count}]");
    }
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
        let _ = writeln!(
            text,
            "{number:>4} {:>7.5} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {size:>11}  {path}{files}",
            face.score, b.x1, b.y1, b.x2, b.y2
        );
    }
    text
}

/// What other programs share, and what only we say.
fn json_line(found: &Found) -> String {
    let mut more = raw_path("path", found.path);
    let mut tell = |name: &str, value: Option<Value>| more.extend(value.map(|value| (name.to_owned(), value)));
    tell("frame", found.of.map(|[number, _]| number.into()));
    tell("frames", found.of.map(|[_, count]| count.into()));
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
fn csv_row(found: &Found, number: usize, face: &Face) -> Vec<Vec<u8>> {
    let b = face.bounding_box;
    let mut row = vec![found.width.to_string(), found.height.to_string(), number.to_string()];
    row.extend([face.score, b.x1, b.y1, b.x2, b.y2].map(|value| value.to_string()));
    row.extend(face.landmarks.iter().flat_map(|point| [point.x, point.y]).map(|value| value.to_string()));
    row.extend(found.of.map(|[number, _]| number.to_string()));
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

    fn found<'a>(path: &'a str, faces: &'a [Face]) -> Found<'a> {
        static NOTHING: Written = Written { annotated: None, crops: Vec::new() };
        let written = &NOTHING;
        Found { path: Path::new(path), width: 64, height: 48, faces, truncated: false, of: None, written, engine: None, adapter: None }
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
        let header = text(OutputFormat::Csv.header(false));
        assert!(header.starts_with("path,width,height,face,score,x1,y1,x2,y2,left_eye_x,"), "{header}");
        assert_eq!(header.lines().count(), 1);
        let path = "Smith, \"Jo\".png";
        assert_eq!(
            text(OutputFormat::Csv.found(&found(path, &[FACE, FACE]))),
            "\"Smith, \"\"Jo\"\".png\",64,48,1,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n\
             \"Smith, \"\"Jo\"\".png\",64,48,2,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n"
        );
        assert_eq!(text(OutputFormat::Csv.found(&found(path, &[]))), "");
        assert_eq!(text(OutputFormat::Csv.refused(Path::new(path), "gone")), "");
    }

    #[test]
    fn the_table_lines_up_and_names_images_without_faces() {
        let header = text(OutputFormat::Table.header(false));
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
        let found = Found { written: &written, engine: Some("GPU"), adapter: Some("A"), of: Some([2, 3]), ..found("p.gif", &[FACE]) };
        let object: Value = serde_json::from_str(&text(OutputFormat::Json.found(&found))).expect("JSON");
        assert_eq!((&object["annotated"], &object["crops"][0]), (&"out/p.png".into(), &"out/p_1.png".into()));
        assert_eq!((&object["engine"], &object["adapter"], &object["frame"]), (&"GPU".into(), &"A".into(), &2.into()));
        assert!(text(OutputFormat::Table.found(&found)).ends_with("  p.gif [2/3] -> out/p.png, out/p_1.png\n"));
        assert!(text(OutputFormat::Csv.found(&found)).ends_with(",2\n"));
        assert!(text(OutputFormat::Csv.header(true)).ends_with(",frame\n"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_survives() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
        let found = Found { path, ..found("", &[FACE]) };
        assert!(text(OutputFormat::Table.found(&found)).ends_with("  caf\\xE9.png\n"));
        assert!(OutputFormat::Csv.found(&found).expect("plain data").starts_with(b"caf\xe9.png,64,"));
        let object: Value = serde_json::from_str(&text(OutputFormat::Json.found(&found))).expect("JSON");
        assert_eq!(object["path_base64"], STANDARD.encode(b"caf\xe9.png"));
    }
}
