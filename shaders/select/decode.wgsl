// decode: turns the cells of P-Net that reach the threshold into candidates, in order of cells (spec 3.3)
//
//   heads       f32[images, 5, cells]         read    from the propose kernel: probability, four box offsets
//   counts      u32[images, blocks]           read    from the propose kernel: hits per block; top bit: a NaN
//   bands       Band[bands]                   read    positions of the cells
//   corners     vec2f[]                       read    left, right per column of a level; top, bottom per row
//   before      Counter[images]               read    candidates of earlier passes
//   candidates  Candidate[images, capacity]   update  those that fit, each written once
//   keep        u32[images, capacity]         update  1 for each of them
//   counters    Counter[lists, images]        update  entry `list`: held, at most `capacity`; wanted; fault
//
// One workgroup per block of 64 tiles of up to six adjacent cells, images along y. A candidate's place is the
// number of candidates before its block plus its rank within the block. The corners come from the host, where
// (2c + 1) / s is divided in f64. Twin: src/kernels/select/decode.rs. Snippets: boxes, counter.

struct Decode {
    images: u32,
    cells: u32,
    bands: u32,
    blocks: u32,
    tiles: u32,
    capacity: u32,
    list: u32,
    threshold: f32,
}

struct Band {
    tile: u32,    // first tile
    across: u32,  // tiles in a row
    cell: u32,    // first cell
    width: u32,   // cells in a row
    row: u32,     // row of the level that the band starts with
    tag: u32,     // level
    columns: u32, // first entry of `corners` for the level's columns
    rows: u32,    // first entry of `corners` for the level's rows
}

@group(0) @binding(0) var<uniform> p: Decode;
@group(0) @binding(1) var<storage, read> heads: array<f32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> bands: array<Band>;
@group(0) @binding(4) var<storage, read> corners: array<vec2f>;
@group(0) @binding(5) var<storage, read> before: array<Counter>;
@group(0) @binding(6) var<storage, read_write> candidates: array<Candidate>;
@group(0) @binding(7) var<storage, read_write> keep: array<u32>;
@group(0) @binding(8) var<storage, read_write> counters: array<Counter>;

var<workgroup> earlier: array<vec2u, 64>; // per invocation: hits of earlier blocks, and NaNs of all blocks
var<workgroup> ranks: array<u32, 64>;     // hits of each tile

fn hit(at: u32) -> bool {
    // Compared by bits, which order like the probabilities, so that compilers cannot change the result. A NaN
    // compares above 1.
    let score = bitcast<u32>(heads[at]);
    return score >= bitcast<u32>(p.threshold) && score <= 0x3f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) block: vec3u) {
    let first = block.y * p.blocks;
    let last = block.x + 1u == p.blocks;
    let own = counts[first + block.x] & 0x7fffffffu;
    if own == 0u && !last { return; }
    var sum = vec2u(0u);
    for (var i = lane; i <= block.x; i += 64u) {
        let count = counts[first + i];
        sum += vec2u(select(0u, count & 0x7fffffffu, i < block.x), count >> 31u);
    }
    earlier[lane] = sum;
    // The cells of this tile.
    let tile = block.x * 64u + lane;
    var i = 0u;
    while i + 1u < p.bands && tile >= bands[i + 1u].tile { i++; }
    let band = bands[i];
    let row = (tile - band.tile) / band.across;
    let column = (tile - band.tile) % band.across * 6u;
    let count = select(0u, min(6u, band.width - column), tile < p.tiles);
    let cell = band.cell + row * band.width + column;
    let planes = block.y * 5u * p.cells;
    var hits = 0u;
    for (var k = 0u; k < count; k++) { hits += select(0u, 1u, hit(planes + cell + k)); }
    ranks[lane] = hits;
    workgroupBarrier();
    var place = before[block.y].wanted;
    var fault = before[block.y].fault;
    for (var k = 0u; k < 64u; k++) {
        place += earlier[k].x;
        fault |= min(earlier[k].y, 1u);
    }
    if last && lane == 0u {
        let wanted = place + own;
        counters[p.list * p.images + block.y] = Counter(min(wanted, p.capacity), wanted, fault, 0u);
    }
    for (var k = 0u; k < lane; k++) { place += ranks[k]; }
    for (var k = 0u; k < count; k++) {
        let at = planes + cell + k;
        if !hit(at) || place >= p.capacity { continue; }
        let across = corners[band.columns + column + k];
        let down = corners[band.rows + band.row + row];
        var found: Candidate;
        found.corners = vec4f(across.x, down.x, across.y, down.y);
        found.offsets = vec4f(heads[at + p.cells], heads[at + 2u * p.cells], heads[at + 3u * p.cells], heads[at + 4u * p.cells]);
        found.score = heads[at];
        found.tag = f32(band.tag);
        candidates[block.y * p.capacity + place] = found;
        keep[block.y * p.capacity + place] = 1u;
        place++;
    }
}
