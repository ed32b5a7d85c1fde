//! The real binary with a detector behind it, whose weights are noise: nothing it finds means anything, but
//! all of it must be reported, drawn and cropped alike, in order, every time.

use std::collections::BTreeMap;
use std::fs;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use mtcmcn::Weights;
use mtcmcn::tensor::{Tensor, noise};
use mtcmcn::weights::names::CascadeNet;
use serde_json::Value;

use crate::cli::{Ended, Scratch};

/// Small enough that activations stay finite through all layers.
const NOISE: f32 = 0.05;

/// A directory with `noise.safetensors` and images to search.
pub fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let mut tensors = BTreeMap::new();
    for layer in CascadeNet::ALL.into_iter().flat_map(CascadeNet::layers) {
        for &part in layer.parts() {
            let shape = layer.shape(part);
            let data = noise(shape.iter().product(), tensors.len() as u64).into_iter().map(|value| value * NOISE).collect();
            tensors.insert(layer.tensor(part), Tensor { shape, data });
        }
    }
    Weights::new(tensors, BTreeMap::new()).unwrap().save(scratch.path("noise.safetensors")).unwrap();
    for (name, seed) in [("a.png", 1), ("b.png", 2), ("sub/a.png", 3)] {
        let bytes = noise(60 * 50 * 3, seed).iter().map(|value| (value * 127.0 + 128.0) as u8).collect();
        fs::create_dir_all(scratch.path(name).parent().unwrap()).unwrap();
        RgbImage::from_raw(60, 50, bytes).unwrap().save(scratch.path(name)).unwrap();
    }
    scratch
}

/// Runs with thresholds that every window passes, so that there are faces, and at most four an image.
fn detect(scratch: &Scratch, args: &[&str]) -> Ended {
    let common = ["detect", "--weights", "noise.safetensors", "--device", "cpu", "--thresholds", "0,0,0", "--max-faces", "4"];
    scratch.run(&[&common[..], args].concat())
}

fn faces(object: &Value) -> &[Value] {
    object["faces"].as_array().unwrap()
}

#[test]
fn all_formats_report_the_same_faces_in_order_and_every_time() {
    let scratch = scratch();
    let paths = ["b.png", "a.png", "b.png", "sub"];
    let json = detect(&scratch, &[&paths[..], &["--json"]].concat());
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let objects = json.objects();
    let sub = ["sub", "a.png"].join(std::path::MAIN_SEPARATOR_STR);
    assert_eq!(objects.iter().map(|object| object["path"].as_str().unwrap()).collect::<Vec<_>>(), ["b.png", "a.png", "b.png", &sub]);
    assert_eq!(objects[0], objects[2]);
    for object in &objects {
        assert_eq!((&object["width"], &object["height"]), (&60.into(), &50.into()));
        assert!((1..=4).contains(&faces(object).len()), "{object}");
        let scores: Vec<_> = faces(object).iter().map(|face| face["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|&score| score > 0.0 && score <= 1.0), "{scores:?}");
    }
    let count: usize = objects.iter().map(|object| faces(object).len()).sum();
    assert_eq!(detect(&scratch, &[&paths[..], &["--csv"]].concat()).stdout.lines().count(), 1 + count);
    assert_eq!(detect(&scratch, &paths).stdout.lines().count(), 1 + count);
    assert_eq!(detect(&scratch, &[&paths[..], &["--json"]].concat()).stdout, json.stdout);
}

#[test]
fn tiny_and_thin_images_have_no_faces() {
    let scratch = scratch();
    let sizes = [(1, 1), (11, 11), (1, 8000), (8000, 1), (11, 300)];
    let names = sizes.map(|(width, height)| format!("{width}x{height}.png"));
    for (name, (width, height)) in names.iter().zip(sizes) {
        scratch.image(name, width, height);
    }
    let ended = detect(&scratch, &[&names.each_ref().map(String::as_str)[..], &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    for (object, (width, height)) in ended.objects().iter().zip(sizes) {
        assert_eq!((&object["width"], &object["height"]), (&width.into(), &height.into()));
        assert!(faces(object).is_empty());
    }
    assert!(detect(&scratch, &["11x11.png"]).stdout.contains("no faces"));
}

#[test]
fn one_bad_input_spoils_the_exit_code_and_nothing_else() {
    let scratch = scratch();
    let ended = detect(&scratch, &["a.png", "missing.png", "b.png", "--json"]);
    assert_eq!(ended.code, Some(2));
    let objects = ended.objects();
    assert_eq!(objects.len(), 3);
    assert!(!faces(&objects[0]).is_empty() && objects[1]["error"].is_string() && !faces(&objects[2]).is_empty());
}

#[test]
fn every_image_is_annotated_and_every_face_cropped() {
    let scratch = scratch();
    scratch.image("tiny.png", 5, 5);
    let paths = ["a.png", "sub/a.png", "tiny.png"];
    let ended = detect(&scratch, &[&paths[..], &["--json", "--clip", "--annotate", "out/drawn", "--crops", "out/crops"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for ((object, name), (width, height)) in ended.objects().iter().zip(["a", "a-2", "tiny"]).zip([(60, 50), (60, 50), (5, 5)]) {
        assert_eq!(image::image_dimensions(scratch.path(&format!("out/drawn/{name}.png"))).unwrap(), (width, height));
        for (number, face) in (1..).zip(faces(object)) {
            assert_eq!(image::image_dimensions(scratch.path(&format!("out/crops/{name}_{number}.png"))).unwrap(), (112, 112));
            let edges: Vec<_> = face["box"].as_array().unwrap().iter().map(|edge| edge.as_f64().unwrap()).collect();
            let (width, height) = (f64::from(width), f64::from(height));
            assert!(edges.iter().zip([width, height, width, height]).all(|(&edge, side)| (0.0..=side).contains(&edge)), "{edges:?}");
        }
    }
    let count: usize = ended.objects().iter().map(|object| faces(object).len()).sum();
    assert_eq!(fs::read_dir(scratch.path("out/crops")).unwrap().count(), count);
    assert_eq!(fs::read_dir(scratch.path("out/drawn")).unwrap().count(), paths.len());
}

#[test]
fn coordinates_are_those_of_the_upright_image() {
    let scratch = scratch();
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_exif_metadata(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec()).unwrap();
    encoder.write_image(&[0; 30 * 20 * 3], 30, 20, ExtendedColorType::Rgb8).unwrap();
    scratch.write("turned.png", &png);
    let objects = detect(&scratch, &["turned.png", "--json"]).objects();
    assert_eq!((&objects[0]["width"], &objects[0]["height"]), (&20.into(), &30.into()));
}

#[test]
fn devices_and_weights_that_do_not_exist_are_named() {
    let scratch = scratch();
    let refused = |args: &[&str], named: &str| {
        let ended = scratch.run(&[&["detect", "a.png"], args].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
    };
    refused(&["--weights", "noise.safetensors", "--device", "no such adapter"], "no such adapter");
    refused(&["--weights", "missing.safetensors", "--device", "cpu"], "missing.safetensors");
    refused(&["--weights", "a.png", "--device", "cpu"], "a.png");
}

#[test]
fn weights_that_do_not_fit_are_refused_and_the_tensor_is_named() {
    let scratch = scratch();
    let whole = Weights::load(scratch.path("noise.safetensors")).unwrap();
    let refused = |spoil: &dyn Fn(&mut BTreeMap<String, Tensor>), named: &[&str]| {
        let mut tensors = whole.tensors().clone();
        spoil(&mut tensors);
        Weights::new(tensors, BTreeMap::new()).unwrap().save(scratch.path("spoiled.safetensors")).unwrap();
        let ended = scratch.run(&["detect", "a.png", "--device", "cpu", "--weights", "spoiled.safetensors"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(named.iter().all(|named| ended.stderr.contains(named)), "{}", ended.stderr);
    };
    refused(&|tensors| drop(tensors.remove("rnet.conv2.bias")), &["rnet.conv2.bias", "[48]"]);
    refused(&|tensors| tensors.get_mut("onet.box.weight").unwrap().shape = vec![256, 4], &["onet.box.weight", "[256, 4]", "[4, 256]"]);
    refused(&|tensors| tensors.get_mut("pnet.conv1.weight").unwrap().data[7] = f32::NAN, &["pnet.conv1.weight", "7"]);
}

#[test]
fn numbers_that_overflow_are_an_error_and_not_a_face() {
    let scratch = scratch();
    for tensor in ["onet.box.bias", "onet.landmarks.bias", "rnet.class.weight"] {
        let mut tensors = Weights::load(scratch.path("noise.safetensors")).unwrap().tensors().clone();
        tensors.get_mut(tensor).unwrap().data.fill(3e38);
        Weights::new(tensors, BTreeMap::new()).unwrap().save(scratch.path("huge.safetensors")).unwrap();
        let args = ["detect", "a.png", "--json", "--device", "cpu", "--weights", "huge.safetensors", "--thresholds", "0,0,0"];
        let ended = scratch.run(&args);
        assert_eq!(ended.code, Some(2), "{tensor}: {}", ended.stdout);
        assert!(ended.stderr.contains("not a number"), "{tensor}: {}", ended.stderr);
    }
}

#[test]
fn pictures_and_crops_may_share_a_directory() {
    let scratch = scratch();
    fs::copy(scratch.path("a.png"), scratch.path("a_1.png")).unwrap();
    let ended = detect(&scratch, &["a.png", "a_1.png", "--annotate", "out", "--crops", "out"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sizes = |side: u32| {
        let files = fs::read_dir(scratch.path("out")).unwrap().map(|entry| image::open(entry.unwrap().path()).unwrap());
        files.filter(|picture| picture.width() == side).count()
    };
    // Two annotated pictures 60 px wide and up to four crops of each: none written over another.
    let crops = ended.stdout.lines().count() - 1;
    assert_eq!((sizes(60), sizes(112)), (2, crops));
}
