// arguments: dispatch sizes of the counted steps of a stage, from the number of candidates of several images
//
//   counters  Counter[lists, images]  read
//   steps     Row[rows]               read
//   sizes     vec4u[rows]             write  workgroups x, y, 1, then the number of items itself
//
// One invocation per row. With one image the settle kernel does this instead.
// Twin: src/kernels/select/arguments.rs. Snippets: counter, rows.

struct Arguments {
    images: u32,
    list: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> p: Arguments;
@group(0) @binding(1) var<storage, read> counters: array<Counter>;
@group(0) @binding(2) var<storage, read> steps: array<Row>;
@group(0) @binding(3) var<storage, read_write> sizes: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.rows { return; }
    var held = 0u;
    for (var image = 0u; image < p.images; image++) { held += counters[p.list * p.images + image].held; }
    sizes[id.x] = dispatch_size(steps[id.x], held);
}
