// resample_rows: the vertical half of resampling a frame to pyramid bands: y[c, band row, column] = sum_j weight_j * frame[j, column, c]
//
//   frames  u32[images, frame_h, frame_w]  read   pixels, R in the low byte, then G, B, A
//   bands   Band[bands]                    read   rows of pyramid levels to make
//   y       f32[images, 3, y_plane]        write  byte values 0..255, one frame_w-wide image per band; every element written once
//
// One invocation per band row and column, three channels each, images along y. Twin: src/kernels/image/resample_rows.rs. Snippets: taps.

struct ResampleRows {
    images: u32,
    frame_w: u32,
    frame_h: u32,
    bands: u32,
    y_plane: u32, // elements of one channel of y: all band rows x frame_w
    bilinear: u32,
}

struct Band {
    row: u32,     // rows of earlier bands
    rows: u32,    // rows of this band
    first: u32,   // its first row in its level
    level_h: u32, // rows of the whole level
    level_w: u32, // columns of the level
    x: u32,       // first element of the band in the level-wide output (resample_columns)
}

@group(0) @binding(0) var<uniform> p: ResampleRows;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
@group(0) @binding(2) var<storage, read> bands: array<Band>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.y_plane { return; }
    let column = id.x % p.frame_w;
    let row = id.x / p.frame_w;
    var i = p.bands - 1u;
    while i > 0u && row < bands[i].row { i--; }
    let band = bands[i];
    let t = taps(band.first + row - band.row, p.frame_h, band.level_h, p.bilinear);
    var sum = vec3f(0.0);
    for (var j = t.first; j <= t.last; j++) {
        let texel = frames[(id.y * p.frame_h + j) * p.frame_w + column];
        let rgb = vec3f(f32(texel & 255u), f32((texel >> 8u) & 255u), f32((texel >> 16u) & 255u));
        sum += tap_weight(t, j, p.frame_h, band.level_h) * rgb;
    }
    let at = id.y * 3u * p.y_plane + id.x;
    y[at] = sum.x;
    y[p.y_plane + at] = sum.y;
    y[2u * p.y_plane + at] = sum.z;
}
