//! What is printed for each input: lines for people, JSON objects or CSV rows. Text in, text out; nothing is written here.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use mtcmcn::Face;
use mtcmcn::data::{Detection, ImageDetections, json};

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
}

/// Columns of the CSV: of the image, then of the face, the landmarks in the order of [`mtcmcn::geometry::Landmarks`].
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
    pub fn header(self) -> Result<String> {
        match self {
            Self::Table => Ok(format!("face   score {:>9} {:>9} {:>9} {:>9} {:>11}  path\n", "left", "top", "right", "bottom", "size")),
            Self::Json => Ok(String::new()),
            Self::Csv => csv_rows([CSV_HEADER.map(str::to_owned)]),
        }
    }

    /// The result for one image.
    pub fn found(self, found: &Found) -> Result<String> {
        match self {
            Self::Table => Ok(table(found)),
            Self::Json => Ok(json::detection_line(&detections(found))),
            Self::Csv => csv_rows(found.faces.iter().enumerate().map(|(index, face)| csv_row(found, index + 1, face))),
        }
    }

    /// The result for an input that gave no image. Only JSON has one: in the other formats every line is a result.
    pub fn refused(self, path: &Path, error: &str) -> Result<String> {
        match self {
            Self::Table | Self::Csv => Ok(String::new()),
            Self::Json => Ok(json::refused_line(&path.to_string_lossy(), error)),
        }
    }
}

/// `path` for people: on one line, and without what a terminal might obey.
pub fn printable(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

fn table(found: &Found) -> String {
    let path = printable(found.path);
    if found.faces.is_empty() {
        return format!("{:<64}  {path}\n", "no faces");
    }
    let mut text = String::new();
    for (number, face) in (1..).zip(found.faces) {
        let b = face.bounding_box;
        let size = format!("{:.0}x{:.0}", b.width(), b.height());
        let _ =
            writeln!(text, "{number:>4} {:>7.5} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {size:>11}  {path}", face.score, b.x1, b.y1, b.x2, b.y2);
    }
    text
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

fn csv_row(found: &Found, number: usize, face: &Face) -> Vec<String> {
    let b = face.bounding_box;
    let mut row = vec![found.path.to_string_lossy().into_owned(), found.width.to_string(), found.height.to_string(), number.to_string()];
    row.extend([face.score, b.x1, b.y1, b.x2, b.y2].map(|value| value.to_string()));
    row.extend(face.landmarks.iter().flat_map(|point| [point.x, point.y]).map(|value| value.to_string()));
    row
}

fn csv_rows<R: IntoIterator<Item = String>>(rows: impl IntoIterator<Item = R>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.into_iter().collect::<Vec<_>>())?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
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
        Found { path: Path::new(path), width: 64, height: 48, faces, truncated: false }
    }

    #[test]
    fn json_is_one_object_a_line_with_the_shortest_numbers() {
        assert_eq!(
            OutputFormat::Json.found(&found("a \"b\"\n.png", &[FACE])).expect("plain data"),
            concat!(
                r#"{"path":"a \"b\"\n.png","width":64,"height":48,"faces":[{"box":[-0.5,2.25,30.1,40.0],"score":0.9999744,"#,
                r#""landmarks":[[1.0,2.0],[3.5,4.0],[5.0,6.0],[7.0,8.0],[9.0,10.1]]}],"truncated":false}"#,
                "\n"
            )
        );
        assert_eq!(
            OutputFormat::Json.found(&found("b.png", &[])).expect("plain data"),
            "{\"path\":\"b.png\",\"width\":64,\"height\":48,\"faces\":[],\"truncated\":false}\n"
        );
        assert_eq!(OutputFormat::Json.refused(Path::new("c"), "gone").expect("plain data"), "{\"path\":\"c\",\"error\":\"gone\"}\n");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let header = OutputFormat::Csv.header().expect("plain data");
        assert!(header.starts_with("path,width,height,face,score,x1,y1,x2,y2,left_eye_x,"), "{header}");
        assert_eq!(header.lines().count(), 1);
        let path = "Smith, \"Jo\".png";
        assert_eq!(
            OutputFormat::Csv.found(&found(path, &[FACE, FACE])).expect("plain data"),
            "\"Smith, \"\"Jo\"\".png\",64,48,1,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n\
             \"Smith, \"\"Jo\"\".png\",64,48,2,0.9999744,-0.5,2.25,30.1,40,1,2,3.5,4,5,6,7,8,9,10.1\n"
        );
        assert_eq!(OutputFormat::Csv.found(&found(path, &[])).expect("plain data"), "");
        assert_eq!(OutputFormat::Csv.refused(Path::new(path), "gone").expect("plain data"), "");
    }

    #[test]
    fn the_table_lines_up_and_names_images_without_faces() {
        let header = OutputFormat::Table.header().expect("plain data");
        let lines = [OutputFormat::Table.found(&found("p.png", &[FACE])), OutputFormat::Table.found(&found("p.png", &[]))];
        let [one, none] = lines.map(|line| line.expect("plain data"));
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
}
