// unit_rows_backward: dx[n] += (dy[n] - x[n] (x[n] . dy[n]) / |x[n]|^2) / |x[n]|; of rows shorter than
// epsilon dx[n] += dy[n] / epsilon
//
//   x   f32[n, c]  read
//   dy  f32[n, c]  read
//   dx  f32[n, c]  update  every element added to once
//
// One workgroup per row. Twin: src/kernels/nn/unit_rows_backward.rs. Snippets: grid, total.

struct UnitRowsBackward {
    n: u32,
    c: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: UnitRowsBackward;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let row = flat_workgroup(workgroup);
    let first = min(row, p.n - 1u) * p.c;
    var sums = vec2f(0.0);
    for (var i = first + lane; i < first + p.c; i += 64u) { sums += x[i] * vec2f(x[i], dy[i]); }
    let norm = sqrt(total(lane, sums.x));
    let product = total(lane, sums.y);
    if row >= p.n { return; }
    let factor = 1.0 / max(norm, p.epsilon);
    let along = select(0.0, product * factor * factor, norm > p.epsilon);
    for (var i = first + lane; i < first + p.c; i += 64u) { dx[i] += (dy[i] - x[i] * along) * factor; }
}
