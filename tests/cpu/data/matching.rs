//! Matching of detections to annotations by path.

use std::path::Path;

use mtcmcn::data::{Faults, ImageDetections, image_key, match_images};

fn found_for(annotated: &[&str], detected: &[&str]) -> (Vec<Option<String>>, Vec<String>) {
    let detected: Vec<_> =
        detected.iter().zip(1..).map(|(path, line)| ImageDetections { path: (*path).into(), line, ..Default::default() }).collect();
    let mut faults = Faults::lenient();
    let found = match_images(annotated, &detected, &mut faults.of(Path::new("d"))).expect("lenient");
    (
        found.into_iter().map(|image| image.map(|image| image.path.clone())).collect(),
        faults.list().iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn keys_do_without_extension_and_with_one_kind_of_slash() {
    assert_eq!(image_key("./a\\b.JPG"), "a/b");
    assert_eq!(image_key("2002/08/img_591"), "2002/08/img_591");
    assert_eq!(image_key("v1.5/img"), "v1.5/img");
}

#[test]
fn equal_paths_and_ends_of_paths_match() {
    let (found, faults) = found_for(&["masks/a.jpg", "b.png"], &["/photos/masks/a.jpg", "b"]);
    assert_eq!(found, [Some("/photos/masks/a.jpg".into()), Some("b".into())]);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn half_a_folder_name_is_no_match() {
    let (found, faults) = found_for(&["masks/a.jpg"], &["unmasks/a.jpg"]);
    assert_eq!(found, [None]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("says nothing about") && faults[1].starts_with("d:1: "), "{faults:?}");
}

#[test]
fn ambiguous_and_repeated_images_are_named() {
    let (found, faults) = found_for(&["a.jpg"], &["x/a.jpg", "y/a.jpg"]);
    assert_eq!(found, [None]);
    assert!(faults.len() == 1 && faults[0].contains("neither"), "{faults:?}");
    let (found, faults) = found_for(&["a.jpg"], &["a.jpg", "a.png"]);
    assert_eq!(found, [Some("a.jpg".into())]);
    assert!(faults.len() == 1 && faults[0].starts_with("d:2: "), "{faults:?}");
}
