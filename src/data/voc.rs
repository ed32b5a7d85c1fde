//! Pascal VOC's XML, one file an image: `filename`, and `object`s with `name` and `bndbox`.
//!
//! Objects called `face` and the like are faces, those called `head` or `person` (SCUT-HEAD) regions where
//! faces may be; those that are `difficult` count neither for nor against. Edges are taken as they are
//! written.

use roxmltree::{Document, Node};

use super::class::{Class, Others, class};
use super::text::{box_of_edges, number};
use super::{AnnotatedImage, Annotation, DataError, FileFaults, image_path};

/// The faces in `bytes`.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is no such XML, [`DataError::Fault`] for the first fault if `faults` are
/// strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let unusable = |what: String| faults.unusable(format!("is not Pascal VOC's XML: {what}"));
    let text = std::str::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
    let document = Document::parse(text).map_err(|error| unusable(error.to_string()))?;
    let root = document.root_element();
    let Some(name) = text_of(root, "filename").filter(|name| !name.is_empty()) else { return Err(unusable("it names no file".into())) };
    let line = |node: Node| document.text_pos_at(node.range().start).row as usize;
    let (mut faces, mut others) = (Vec::new(), Others::default());
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        let name = text_of(object, "name").unwrap_or_default();
        let kind = class(name);
        if kind == Class::Other {
            others.add(name);
            continue;
        }
        match face(object) {
            Ok(face) => faces.push(Annotation { ignore: face.ignore || kind == Class::Region, ..face }),
            Err(what) => faults.skipped(line(object), format!("{what}: face skipped"))?,
        }
    }
    others.tell(faults)?;
    Ok(vec![AnnotatedImage { path: image_path(name), faces, line: 1 }])
}

fn text_of<'a>(node: Node<'a, '_>, tag: &str) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name(tag))?.text().map(str::trim)
}

fn face(object: Node) -> Result<Annotation, String> {
    let edges = object.children().find(|child| child.has_tag_name("bndbox")).ok_or("an object without bndbox")?;
    let edge = |tag: &str| number(text_of(edges, tag).ok_or_else(|| format!("a bndbox without {tag}"))?);
    let mut face = Annotation::new(box_of_edges(edge("xmin")?, edge("ymin")?, edge("xmax")?, edge("ymax")?)?);
    face.ignore = text_of(object, "difficult") == Some("1");
    Ok(face)
}
