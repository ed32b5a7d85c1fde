//! General formats of boxes and points: what is read, and what is named and left out.

use std::path::Path;

use mtcmcn::data::{Faults, coco, labelme, points, retinaface, voc, yolo};

use super::{assert_faults, clean, edges, lenient};

#[test]
fn retinaface_names_what_is_wrong_by_line() {
    let (images, faults) = lenient(
        "# a.jpg\n1 2 3 4\n1 2 -3 4\n1 2 3 4 5\n# a.jpg\n1 2 3 4\n#\n1 2 3 4\n# b\\c.jpg\n9 9 9 9 1 1 0 2 1 0 1.5 2 0 1 3 0 2 3 0 0.5\n",
        retinaface::parse,
    );
    assert_eq!(images.iter().map(|image| (&*image.path, image.faces.len())).collect::<Vec<_>>(), [("a.jpg", 1), ("b/c.jpg", 1)]);
    assert_eq!(edges(images[0].faces[0].bounding_box), [1.0, 2.0, 4.0, 6.0]);
    assert_eq!(images[1].faces[0].landmarks.map(|points| points[2].to_array()), Some([1.5, 2.0]));
    let wants =
        [(3, "no area"), (4, "5 numbers where"), (5, "was there already"), (6, "of no image"), (7, "without the name"), (8, "of no image")];
    assert_faults(&faults, &wants);
}

#[test]
fn coco_leaves_out_what_it_cannot_place() {
    let text = r#"{"images":[{"id":1,"file_name":"a.jpg"},{"id":2,"file_name":"a.jpg"}],"categories":[{"id":0,"name":"Face"},{"id":1,"name":"person"}],
        "annotations":[{"image_id":1,"category_id":0,"bbox":[1,2,3,4],"iscrowd":1},{"image_id":1,"category_id":0,"bbox":[1,2,3]},
        {"image_id":5,"category_id":0,"bbox":[1,2,3,4]},{"image_id":1,"category_id":9,"bbox":[1,2,3,4]}]}"#;
    let (images, faults) = lenient(text, coco::parse);
    assert_eq!((images.len(), images[0].faces.len(), images[0].faces[0].ignore), (1, 1, true));
    assert_faults(
        &faults,
        &[(0, "was there already"), (0, "no bbox of four"), (0, "not among its images"), (0, "neither faces nor heads")],
    );
    for bad in ["", "[]", "{", r#"{"images":3}"#] {
        assert!(coco::parse(bad.as_bytes(), &mut Faults::lenient().of(Path::new("f"))).is_err(), "{bad}");
    }
}

#[test]
fn labelme_and_voc_read_boxes_and_regions() {
    let text = r#"{"imagePath":"..\\a.jpg","shapes":[{"label":"face","points":[[5,6],[1,2]],"shape_type":"rectangle"},
        {"label":"head","points":[[10,10],[13,14]],"shape_type":"circle"},{"label":"face","points":[[1,1]]},{"label":"hat","points":[]}]}"#;
    let (images, faults) = lenient(text, labelme::parse);
    let faces = &images[0].faces;
    assert_eq!((edges(faces[0].bounding_box), edges(faces[1].bounding_box)), ([1.0, 2.0, 5.0, 6.0], [5.0, 5.0, 15.0, 15.0]));
    assert_eq!((&*images[0].path, faces[0].ignore, faces[1].ignore), ("../a.jpg", false, true));
    assert_faults(&faults, &[(0, "fewer than two points"), (0, "\"hat\"")]);
    let object = |name: &str, xmax: &str| {
        format!("<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{xmax}</xmax><ymax>9</ymax></bndbox></object>\n")
    };
    let text = format!(
        "<annotation><filename>a.jpg</filename>\n{}{}{}</annotation>",
        object("face", "8"),
        object("head", "0"),
        object("cat", "8")
    );
    let (images, faults) = lenient(&text, voc::parse);
    assert_eq!(edges(images[0].faces[0].bounding_box), [1.0, 2.0, 8.0, 9.0]);
    assert_faults(&faults, &[(3, "no area"), (0, "\"cat\"")]);
    for bad in ["", "<annotation/>", "<annotation><filename>", "text"] {
        assert!(voc::parse(bad.as_bytes(), &mut Faults::lenient().of(Path::new("f"))).is_err(), "{bad}");
    }
}

#[test]
fn yolo_needs_shares_of_the_picture() {
    let parse = |bytes: &[u8], faults: &mut mtcmcn::data::FileFaults| yolo::parse(bytes, [200, 100], &[], faults);
    let (faces, faults) = lenient("0 0.5 0.5 0.1 0.2\n0 50 50 10 20\n1 0.5 0.5 0.1 0.1\n0 0.5 0.5\n0.5 0.1 0.1 0.1 0.1\n", parse);
    assert_eq!(edges(faces[0].bounding_box), [90.0, 40.0, 110.0, 60.0]);
    assert_eq!(faces.len(), 1);
    assert_faults(&faults, &[(2, "in pixels"), (4, "fewer than the five"), (5, "no class"), (0, "class \"1\"")]);
    assert!(clean("", parse).is_empty());
}

#[test]
fn points_are_as_many_as_a_rule_is_for() {
    let refused = |text: &str| points::parse_pts(text.as_bytes(), &mut Faults::lenient().of(Path::new("f"))).unwrap_err().to_string();
    assert!(refused("n_points: 2\n{\n1 2\n3 4\n}\n").contains("2 points, not 5, 49, 68 or 98"));
    assert!(refused("n_points: 3\n{\n1 2\n}\n").contains("promises 3 points and has 1"));
    assert!(refused("{\n1 x\n}\n").contains("where a point belongs"));
    let (images, faults) = lenient("1 2 3 a.jpg\n", points::parse_wflw);
    assert!(images.is_empty());
    assert_faults(&faults, &[(1, "not the 196 numbers")]);
}
