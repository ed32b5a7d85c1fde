// dropout: x[i] = kept(i) ? x[i] / (1 - rate) : 0, in place; forward over activations, and backward over their gradient (spec 8)
//
//   schedule  u32[8]    read     words 0, 1 and 5: step, seed, first item
//   x         f32[len]  update   every element rewritten once
//
// kept(i) depends on seed, step and the place of i in the whole batch alone, so both directions see the same mask and a resumed run sees the same masks again.
// One invocation per element. Twin: src/kernels/nn/dropout.rs. Snippets: pcg, grid.

struct Dropout {
    len: u32,
    each: u32,      // elements of an item
    threshold: u32, // rate * 2^32: an element is kept if its random number is at least this
    scale: f32,     // 1 / (1 - rate)
}

@group(0) @binding(0) var<uniform> p: Dropout;
@group(0) @binding(1) var<storage, read> schedule: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    let random = pcg(pcg(pcg(schedule[1]) + schedule[0]) + schedule[5] * p.each + i);
    x[i] = select(0.0, x[i] * p.scale, random >= p.threshold);
}
