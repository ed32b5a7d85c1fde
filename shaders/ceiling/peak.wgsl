// peak: y[i] = mean of 12 chains that start at x[i] + chain and take `turns` turns of a = a * factor + x[i]:
// measures peak arithmetic throughput
//
//   x  f32[n]  read
//   y  f32[n]  write  every element written once
//
// One invocation per element. With a factor of 1/2 every chain converges to 2 x[i].
// Twin: src/kernels/ceiling/peak.rs.

struct Peak {
    n: u32,
    turns: u32,
    factor: f32, // not a constant, so that no compiler can evaluate the chains
}

@group(0) @binding(0) var<uniform> p: Peak;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let v = vec4f(x[id.x]);
    let factor = vec4f(p.factor);
    var a = v + vec4f(0.0, 1.0, 2.0, 3.0);
    var b = v + vec4f(4.0, 5.0, 6.0, 7.0);
    var c = v + vec4f(8.0, 9.0, 10.0, 11.0);
    for (var i = 0u; i < p.turns; i++) {
        a = a * factor + v;
        b = b * factor + v;
        c = c * factor + v;
    }
    let sums = a + b + c;
    y[id.x] = (sums.x + sums.y + sums.z + sums.w) / 12.0;
}
