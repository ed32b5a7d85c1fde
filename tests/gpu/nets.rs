//! The nets on the adapter against golden numbers.

use crate::{engine, golden, heads, rivals};

#[test]
fn nets_give_the_golden_outputs() {
    golden::check(&engine());
}

#[test]
fn rivals_give_their_outputs() {
    rivals::check(&engine());
}

#[test]
fn a_fused_graph_gives_what_its_pass_gives() {
    crate::graphs::check_fused(&engine());
}

#[test]
fn decomposition_and_heads_give_the_golden_numbers() {
    heads::check(&engine());
}

#[cfg(feature = "toolkit")]
#[test]
fn onnx_models_give_what_onnxruntime_gives() {
    crate::onnx_models::check(&engine());
}
