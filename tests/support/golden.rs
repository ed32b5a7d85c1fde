//! The nets against `tests/fixtures/golden_nets.json`, on any engine. `tools/golden_nets.py` writes the file and says how weights are made.

use mtcmcn::doctor::noise_weights;
use mtcmcn::nets::{Fused, Net, ONET, PNET, RNET};
use mtcmcn::record::Recording;
use mtcmcn::tensor::{Extent, Shape, noise};
use mtcmcn::weights::names::LAYERS;
use mtcmcn::{Engine, Weights};
use serde_json::Value;

use crate::backward::input;

/// One input and what the net gives for it.
struct Golden {
    net: String,
    extent: Extent,
    sign: f32,
    shape: Vec<usize>,
    /// `[channels, cells]`.
    output: Vec<f64>,
}

/// The golden file.
fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/golden_nets.json")).expect("the fixture is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn cases(net: &str) -> Vec<Golden> {
    let fixture = fixture();
    let cases = fixture["cases"].as_array().expect("a list of cases").iter().map(|case| Golden {
        net: case["net"].as_str().expect("a name").to_owned(),
        extent: Extent { h: case["height"].as_u64().expect("rows") as u32, w: case["width"].as_u64().expect("columns") as u32 },
        sign: case["sign"].as_f64().expect("a sign") as f32,
        shape: numbers(&case["shape"]).into_iter().map(|size| size as usize).collect(),
        output: numbers(&case["output"]),
    });
    let cases: Vec<Golden> = cases.filter(|case| case.net == net).collect();
    assert!(!cases.is_empty(), "no golden case of {net}");
    cases
}

/// Head channels of `net` for `input` of `shape`, in the layout of the recording.
pub fn forward(engine: &Engine, net: Net, weights: &Weights, input: &[f32], shape: &Shape) -> Vec<f32> {
    let mut recording = Recording::new();
    let forward = Fused::whole(net, &mut recording, weights, engine.facts()).expect("the weights fit");
    let x = recording.slot("input", shape.elements() as usize);
    let (y, result) = forward.record(&mut recording, x, shape).expect("the input fits");
    recording.output(y);
    let mut session = engine.load(recording).expect("the net loads");
    session.write(x, bytemuck::cast_slice(input));
    let outputs = session.play().expect("the net plays");
    let (_, data) = outputs.into_iter().find(|(slot, _)| *slot == y).expect("an output");
    data[..result.elements() as usize].to_vec()
}

/// Rounding errors of f32 sums of signed terms walk at random: ε √terms of the result, added up over the layers, which hand an error on
/// about as large as it came (weights keep activations in size; `PReLU` and pooling do not stretch). In units of the largest output.
fn relative_tolerance(net: &str) -> f64 {
    let layers = LAYERS.iter().filter(|entry| entry.net.name() == net);
    layers.map(|entry| ((entry.inputs * entry.side * entry.side) as f64).sqrt()).sum::<f64>() * f64::from(f32::EPSILON)
}

/// Where `got` is not `want`; a NaN is not.
fn difference(net: &str, got: &[f32], want: &[f64]) -> Option<String> {
    assert_eq!(got.len(), want.len(), "{net}: number of outputs");
    let tolerance = relative_tolerance(net) * want.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let at = got.iter().zip(want).position(|(got, want)| {
        let within = (f64::from(*got) - want).abs() <= tolerance;
        !within
    })?;
    Some(format!("{net}, output {at}: got {}, want {}, tolerance {tolerance:e}", got[at], want[at]))
}

/// R- or O-Net: its cases are one batch.
fn check_crops(engine: &Engine, net: Net, weights: &Weights) {
    let cases = cases(net.name);
    let extent = Extent { h: net.side, w: net.side };
    assert!(cases.iter().all(|case| case.extent == extent), "{}: crops have one size", net.name);
    let batch: Vec<f32> = cases.iter().flat_map(|case| input(extent).into_iter().map(move |v| v * case.sign)).collect();
    let shape = Shape::new([cases.len() as u32, 3, net.side, net.side]).expect("a valid shape");
    let got = forward(engine, net, weights, &batch, &shape);
    let want: Vec<f64> = cases.into_iter().flat_map(|case| case.output).collect();
    assert_eq!(difference(net.name, &got, &want), None, "on {}", engine.name());
}

/// P-Net: each case for itself, then all as the levels of one ragged plane.
fn check_levels(engine: &Engine, weights: &Weights) {
    let cases = cases(PNET.name);
    for case in &cases {
        let shape = Shape::new([1, 3, case.extent.h, case.extent.w]).expect("a valid shape");
        let got = forward(engine, PNET, weights, &input(case.extent), &shape);
        assert_eq!(difference(PNET.name, &got, &case.output), None, "{:?} on {}", case.extent, engine.name());
    }
    let levels: Vec<Extent> = cases.iter().map(|case| case.extent).collect();
    let shape = Shape::ragged(1, 3, levels).expect("a valid shape");
    let inputs: Vec<(usize, Vec<f32>)> = cases.iter().map(|case| (case.extent.area() as usize, input(case.extent))).collect();
    let got = forward(engine, PNET, weights, &interleave(3, &inputs), &shape);
    let outputs: Vec<(usize, Vec<f64>)> = cases.into_iter().map(|case| (case.shape[1] * case.shape[2], case.output)).collect();
    assert_eq!(difference(PNET.name, &got, &interleave(6, &outputs)), None, "all levels at once on {}", engine.name());
}

/// Levels `[channels, plane]` to one ragged plane: channel by channel, levels end to end.
fn interleave<T: Copy>(channels: usize, levels: &[(usize, Vec<T>)]) -> Vec<T> {
    let line = |channel: usize| levels.iter().flat_map(move |(plane, data)| &data[channel * plane..(channel + 1) * plane]);
    (0..channels).flat_map(line).copied().collect()
}

/// All three nets.
pub fn check(engine: &Engine) {
    let weights = noise_weights();
    check_levels(engine, &weights);
    check_crops(engine, RNET, &weights);
    check_crops(engine, ONET, &weights);
}

#[test]
fn noise_is_what_the_fixture_was_made_of() {
    let want = numbers(&fixture()["noise_of_seed_1"]);
    assert_eq!(noise(want.len(), 1), want.iter().map(|&value| value as f32).collect::<Vec<_>>());
}

#[test]
fn a_wrong_output_and_a_nan_are_found() {
    assert_eq!(difference("pnet", &[1.0, 0.5], &[1.0, 0.5]), None);
    assert!(difference("pnet", &[1.0, 0.500_01], &[1.0, 0.5]).is_some());
    assert!(difference("pnet", &[f32::NAN, 0.5], &[1.0, 0.5]).is_some());
}

#[test]
fn the_levels_of_a_ragged_plane_lie_end_to_end_in_every_channel() {
    assert_eq!(interleave(2, &[(1, vec![1, 2]), (2, vec![3, 4, 5, 6])]), [1, 3, 4, 2, 5, 6]);
}
