// resample_rows: the vertical half of resampling a frame to pyramid bands:
// y[c, band row, column] = sum_j weight_j * frame[j, column, c]
//
//   frames  u32[images, frame_h, frame_w]  read   pixels, R in the low byte, then G, B, A
//   bands   Band[bands]                    read   rows of pyramid levels to make
//   y       f32[images, 3, y_plane]        write  byte values, frame_w columns per row; each written once
//
// One invocation per band row and four columns, three channels each, images along y.
// Twin: src/kernels/image/resample_rows.rs. Snippets: taps.

struct ResampleRows {
    images: u32,
    frame_w: u32,
    frame_h: u32,
    bands: u32,
    y_plane: u32, // elements of one channel of y: rows of all bands x frame_w
    bilinear: u32,
}

struct Band {
    row: u32,     // rows of earlier bands
    rows: u32,    // rows of this band
    first: u32,   // first row of the band within its level
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
    let across = (p.frame_w + 3u) / 4u;
    let column = id.x % across * 4u;
    let row = id.x / across;
    let at = row * p.frame_w + column;
    if at >= p.y_plane { return; }
    var i = 0u;
    while i + 1u < p.bands && row >= bands[i + 1u].row { i++; }
    let band = bands[i];
    let t = taps(band.first + row - band.row, p.frame_h, band.level_h, p.bilinear);
    // Columns beyond the last repeat the last.
    let k = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(p.frame_w - 1u));
    var red = vec4f(0.0);
    var green = vec4f(0.0);
    var blue = vec4f(0.0);
    for (var j = t.first; j <= t.last; j++) {
        let line = (id.y * p.frame_h + j) * p.frame_w;
        let texels = vec4u(frames[line + k.x], frames[line + k.y], frames[line + k.z], frames[line + k.w]);
        let weight = tap_weight(t, j, p.frame_h, band.level_h);
        red += weight * vec4f(texels & vec4u(255u));
        green += weight * vec4f((texels >> vec4u(8u)) & vec4u(255u));
        blue += weight * vec4f((texels >> vec4u(16u)) & vec4u(255u));
    }
    let total = tap_total(t, p.frame_h, band.level_h);
    let start = id.y * 3u * p.y_plane + at;
    let count = p.frame_w - column;
    store(red / total, start, count);
    store(green / total, start + p.y_plane, count);
    store(blue / total, start + 2u * p.y_plane, count);
}

fn store(v: vec4f, at: u32, count: u32) {
    y[at] = v.x;
    if count > 1u { y[at + 1u] = v.y; }
    if count > 2u { y[at + 2u] = v.z; }
    if count > 3u { y[at + 3u] = v.w; }
}
