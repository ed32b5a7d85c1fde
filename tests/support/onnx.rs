//! ONNX models of `tests/fixtures/onnx` on any engine against what onnxruntime makes of them.
//! `tools/golden_onnx.py` writes both.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mtcmcn::Engine;
use mtcmcn::nets::{Model, onnx};
use mtcmcn::record::Recording;

use crate::heads::fill;

/// Largest difference from onnxruntime, relative to the largest result: sums of some hundred terms in f32.
const RELATIVE: f32 = 1e-5;

/// Returns the bytes of the fixture `name`.
pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)).expect("a fixture")
}

/// Returns the result of `model` for `n` images, image after image.
fn play(engine: &Engine, model: &Model, n: u32, x: &[f32]) -> Vec<f32> {
    let mut recording = Recording::new();
    let input = recording.input("x", x.len());
    let y = model.record(&mut recording, input, n, engine.facts()).expect("it records")[onnx::RESULT];
    recording.output(y);
    let mut session = engine.load(recording).expect("it loads");
    session.write(input, bytemuck::cast_slice(x));
    session.play().expect("it plays").remove(0).1
}

/// Checks every model as it is read, and with its layers joined, for one image and for several.
pub fn check(engine: &Engine) {
    let results: BTreeMap<String, Vec<f32>> = serde_json::from_slice(&bytes("results.json")).expect("the fixture is JSON");
    assert!(results.len() > 10);
    for (name, want) in results {
        let model = onnx::read(&bytes(&format!("{name}.onnx")), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = Model::read(model.write().expect("it has a form")).expect("it is read again");
        let one = fill(&format!("{name}.x"), 3 * 8 * 8, -1.0, 1.0);
        let three: Vec<f32> =
            fill("another.x", one.len(), -1.0, 1.0).into_iter().chain(one.clone()).chain(one.iter().map(|x| -x)).collect();
        for (what, model) in [("as read", &written), ("joined", &model.for_inference().expect("it is joined"))] {
            let (alone, among) = (play(engine, model, 1, &one), play(engine, model, 3, &three));
            let largest = want.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            for got in [&alone[..], &among[want.len()..2 * want.len()]] {
                assert_eq!(got.len(), want.len(), "{name} {what}");
                let near = got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= RELATIVE * largest);
                assert!(near, "{name} {what} on {}: {got:?}, should be {want:?}", engine.name());
            }
        }
    }
}
