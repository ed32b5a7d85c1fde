// decode: turns every P-Net cell over the threshold into a candidate, in order of cells (spec 3.3)
//
//   heads       f32[6, cells]           read    as in hits
//   offsets     u32[blocks]             read    by the scan kernel
//   bands       Band[bands]             read    where cells lie
//   corners     vec2f[]                 read    left and right edge of every column of a level, then top and bottom of every row
//   candidates  Candidate[capacity]     update  those that fit, each written once
//   keep        u32[capacity]           update  1 for each of them
//
// One workgroup per block of 256 cells; a cell's place is its block's offset plus its rank among the block's hits. The corners come from
// the host, where (2c + 1) / s is divided in f64. Twin: src/kernels/select/decode.rs. Snippets: boxes, probability.

struct Decode {
    cells: u32,
    threshold: f32,
    bands: u32,
    capacity: u32,
}

struct Band {
    cell: u32,    // first cell
    width: u32,   // cells in a row
    row: u32,     // row of the level that the band starts with
    tag: u32,     // level
    columns: u32, // first entry of `corners` for the level's columns
    rows: u32,    // first entry for its rows
}

@group(0) @binding(0) var<uniform> p: Decode;
@group(0) @binding(1) var<storage, read> heads: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read> bands: array<Band>;
@group(0) @binding(4) var<storage, read> corners: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> candidates: array<Candidate>;
@group(0) @binding(6) var<storage, read_write> keep: array<u32>;

var<workgroup> ranks: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) block: vec3u) {
    var score = 0.0;
    var hit = false;
    if id.x < p.cells {
        score = face_probability(heads[id.x], heads[p.cells + id.x]);
        hit = score >= p.threshold && !is_nan(score);
    }
    ranks[lane] = select(0u, 1u, hit);
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        let add = select(0u, ranks[max(lane, step) - step], lane >= step);
        workgroupBarrier();
        ranks[lane] += add;
    }
    let place = offsets[block.x] + ranks[lane] - 1u;
    if !hit || place >= p.capacity { return; }
    var i = p.bands - 1u;
    while i > 0u && id.x < bands[i].cell { i--; }
    let band = bands[i];
    let inside = id.x - band.cell;
    let across = corners[band.columns + inside % band.width];
    let down = corners[band.rows + band.row + inside / band.width];
    var found: Candidate;
    found.corners = vec4f(across.x, down.x, across.y, down.y);
    let at = 2u * p.cells + id.x;
    found.offsets = vec4f(heads[at], heads[at + p.cells], heads[at + 2u * p.cells], heads[at + 3u * p.cells]);
    found.score = score;
    found.tag = f32(band.tag);
    candidates[place] = found;
    keep[place] = 1u;
}
