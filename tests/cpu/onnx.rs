//! ONNX models: what is read, and what is refused.

use std::fs;

use mtcmcn::Engine;
use mtcmcn::nets::onnx::{self, OnnxError};

use crate::cli::Scratch;
use crate::onnx_models::{bytes, check};

#[test]
fn twin_and_cpu_engine_give_what_onnxruntime_gives() {
    check(&Engine::twin());
    check(&Engine::cpu());
}

/// Returns the bytes of a fixture with every `from` replaced by `to`, which is as long.
fn changed(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes(name);
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn what_has_no_layer_here_is_named() {
    let error = onnx::read(&changed("mobile7.onnx", b"Relu", b"Erfx"), None).unwrap_err();
    assert_eq!(error.to_string(), "Erfx (node \"node 3\"): an operator that has no layer here");
    let error = onnx::read(&changed("plain7.onnx", b"strides", b"stridez"), None).unwrap_err();
    assert!(matches!(error, OnnxError::Operator { ref operator, .. } if operator == "Gemm"), "{error}");
    let error = onnx::read(&changed("pooled7.onnx", b"kernel_shape", b"kernel_shapo"), None).unwrap_err();
    assert!(error.to_string().starts_with("MaxPool (node \"node 2\"): a pool without a window"), "{error}");
}

#[test]
fn a_model_that_is_cut_short_is_refused() {
    let whole = bytes("mobile21.onnx");
    assert!(onnx::is(&whole));
    for length in (0..whole.len()).step_by(7) {
        assert!(onnx::read(&whole[..length], None).is_err(), "{length} bytes");
    }
    for (bytes, is) in [(&b""[..], false), (b"PK\x03\x04", false), (&whole[..whole.len() - 1], false)] {
        assert_eq!(onnx::is(bytes), is);
    }
}

/// Appends a field of bytes to a message.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(bytes);
}

/// Returns a model with one 1 x 1 convolution from 3 to 2 channels, whose weights are in `location`.
fn outside(location: &str) -> Vec<u8> {
    let sizes = |sizes: &[u8]| {
        sizes.iter().fold(Vec::new(), |mut shape, size| {
            field(&mut shape, 1, &[1 << 3, *size]);
            shape
        })
    };
    let (mut tensor, mut graph, mut model) =
        (vec![1 << 3, 2, 1 << 3, 3, 1 << 3, 1, 1 << 3, 1, 2 << 3, 1, 14 << 3, 1], Vec::new(), vec![1 << 3, 8]);
    field(&mut tensor, 8, b"w");
    for (key, value) in [("location", location), ("offset", "4"), ("length", "24")] {
        let mut entry = Vec::new();
        field(&mut entry, 1, key.as_bytes());
        field(&mut entry, 2, value.as_bytes());
        field(&mut tensor, 13, &entry);
    }
    let mut node = Vec::new();
    for (number, text) in [(1, &b"x"[..]), (1, b"w"), (2, b"y"), (4, b"Conv")] {
        field(&mut node, number, text);
    }
    field(&mut graph, 1, &node);
    field(&mut graph, 5, &tensor);
    let (mut shape, mut kind, mut input, mut output) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    field(&mut shape, 2, &sizes(&[1, 3, 1, 1]));
    field(&mut kind, 1, &shape);
    field(&mut input, 1, b"x");
    field(&mut input, 2, &kind);
    field(&mut graph, 11, &input);
    field(&mut output, 1, b"y");
    field(&mut graph, 12, &output);
    field(&mut model, 7, &graph);
    field(&mut model, 8, &[2 << 3, 13]);
    model
}

#[test]
fn tensors_outside_the_model_are_read_beside_it_alone() {
    let scratch = Scratch::new();
    let numbers: Vec<u8> = (0..8).flat_map(|number| (number as f32).to_le_bytes()).collect();
    scratch.write("m/w.bin", &numbers);
    fs::copy(scratch.path("m/w.bin"), scratch.path("w.bin")).unwrap();
    let folder = scratch.path("m");
    let model = onnx::read(&outside("w.bin"), Some(&folder)).unwrap();
    assert_eq!(model.weights.tensors()["w"].data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for location in ["../w.bin", "/etc/passwd", "", "none.bin"] {
        assert!(onnx::read(&outside(location), Some(&folder)).is_err(), "{location}");
    }
    assert!(onnx::read(&outside("w.bin"), None).is_err());
}
