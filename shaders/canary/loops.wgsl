// loops: counts how many turns a loop of `count` turns takes, and what it computes in them
//
//   y  u32[2]  write  turns taken; x after that many turns of x = 1664525 x + 1013904223, modulo 2^32, from 1
//
// One invocation. Some software drivers silently leave a loop after 65,535 turns.
// Twin: src/kernels/canary/loops.rs.

struct Loops {
    count: u32,
}

@group(0) @binding(0) var<uniform> p: Loops;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var x = 1u;
    var turns = 0u;
    for (var i = 0u; i < p.count; i++) {
        x = x * 1664525u + 1013904223u;
        turns++;
    }
    y[0] = turns;
    y[1] = x;
}
