//! The nets on the CPU engine and the twin against golden numbers.

use mtcmcn::Engine;

use crate::{golden, heads, rivals};

#[test]
fn twin_gives_the_golden_outputs() {
    golden::check(&Engine::twin());
}

#[test]
fn cpu_engine_gives_the_golden_outputs() {
    golden::check(&Engine::cpu());
}

#[test]
fn twin_and_cpu_engine_give_the_rivals_outputs() {
    rivals::check(&Engine::twin());
    rivals::check(&Engine::cpu());
}

#[test]
fn a_fused_graph_gives_what_its_pass_gives() {
    crate::graphs::check_fused(&Engine::twin());
    crate::graphs::check_fused(&Engine::cpu());
}

#[test]
fn decomposition_and_heads_give_the_golden_numbers() {
    heads::check(&Engine::twin());
    heads::check(&Engine::cpu());
}
