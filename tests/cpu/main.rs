//! Tests that need neither an adapter nor a network nor third-party weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[cfg(feature = "toolkit")]
mod cli;
#[cfg(feature = "toolkit")]
mod cli_bench;
#[cfg(feature = "toolkit")]
mod cli_cases;
#[cfg(feature = "toolkit")]
mod cli_faces;
#[cfg(feature = "toolkit")]
mod cli_pages;
#[cfg(feature = "toolkit")]
mod cli_words;
#[cfg(feature = "toolkit")]
mod crops;
mod data;
#[cfg(feature = "toolkit")]
mod eval;
#[cfg(feature = "toolkit")]
mod eval_cases;
#[cfg(feature = "toolkit")]
mod eval_cli;
#[cfg(feature = "toolkit")]
mod fuzz;
#[cfg(feature = "toolkit")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz_targets;
#[cfg(feature = "toolkit")]
mod onnx;
#[cfg(feature = "toolkit")]
#[path = "../support/onnx.rs"]
mod onnx_models;
mod weights;
#[cfg(feature = "toolkit")]
mod weights_cases;
#[cfg(feature = "toolkit")]
mod weights_corrupt;
#[cfg(feature = "toolkit")]
mod weights_encode;
#[cfg(feature = "toolkit")]
mod weights_exporters;
#[cfg(feature = "toolkit")]
mod weights_import;

#[path = "../support/backward.rs"]
mod backward;
#[path = "../support/golden.rs"]
mod golden;
mod gradients;
#[path = "../support/graphs.rs"]
mod graphs;
#[path = "../support/heads.rs"]
mod heads;
mod instructions;
mod layers;
mod limits;
mod names;
mod nets;
mod prose;
#[cfg(feature = "toolkit")]
mod recognize_cli;
#[path = "../support/rivals.rs"]
mod rivals;
mod rooms;
mod shaders;
#[cfg(feature = "toolkit")]
#[path = "../support/synthetic.rs"]
mod synthetic;
#[path = "../support/trace.rs"]
mod trace;
#[cfg(feature = "toolkit")]
mod train_cases;
#[cfg(feature = "toolkit")]
mod train_cli;
#[cfg(feature = "toolkit")]
mod train_program;
#[cfg(feature = "toolkit")]
mod train_run;
mod training;
#[path = "../support/training.rs"]
mod training_golden;
#[cfg(feature = "toolkit")]
#[path = "../support/runs.rs"]
mod training_runs;
// By /proc, and by what ffmpeg for Linux says.
#[cfg(all(target_os = "linux", feature = "cli"))]
mod video;

#[test]
fn a_trace_tells_what_was_found() {
    for engine in [mtcmcn::Engine::cpu(), mtcmcn::Engine::twin()] {
        trace::check(engine);
    }
}
