// unit_rows: y[n] = x[n] / max(|x[n]|, epsilon)
//
//   x  f32[n, c]  read
//   y  f32[n, c]  write  every element written once
//
// One workgroup per row. Twin: src/kernels/nn/unit_rows.rs. Snippets: grid, total.

struct UnitRows {
    n: u32,
    c: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: UnitRows;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let row = flat_workgroup(workgroup);
    let first = min(row, p.n - 1u) * p.c;
    var sum = 0.0;
    for (var i = lane; i < p.c; i += 64u) { sum += x[first + i] * x[first + i]; }
    let factor = 1.0 / max(sqrt(total(lane, sum)), p.epsilon);
    if row >= p.n { return; }
    for (var i = lane; i < p.c; i += 64u) { y[first + i] = x[first + i] * factor; }
}
