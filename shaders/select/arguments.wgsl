// arguments: numbers of items of the counted steps of a stage, from the number of candidates of several
// images
//
//   counters  Counter[lists, images]  read
//   steps     Row[rows]               read
//   items     u32[rows, 64]           update  first word of each entry: the number of items of the step
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
@group(0) @binding(3) var<storage, read_write> items: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.rows { return; }
    var held = 0u;
    for (var image = 0u; image < p.images; image++) { held += counters[p.list * p.images + image].held; }
    items[id.x * ENTRY] = items_of(steps[id.x], held);
}
