// resample_columns: the horizontal half of resampling:
// y[c, band row, i] = (sum_j weight_j * x[c, band row, j] - 127.5) / 128
//
//   x      f32[images, 3, x_plane]   read   result of resample_rows
//   bands  Band[bands]               read   the same table
//   y      f32[images, 3, y_plane]   write  normalised pixels, bands end to end; each written once
//
// One invocation per output pixel, three channels each, images along y.
// Twin: src/kernels/image/resample_columns.rs. Snippets: taps.

struct ResampleColumns {
    images: u32,
    frame_w: u32,
    bands: u32,
    x_plane: u32,
    y_plane: u32,
    bilinear: u32,
}

struct Band {
    row: u32,
    rows: u32,
    first: u32,
    level_h: u32,
    level_w: u32,
    x: u32, // first element of the band in y
}

@group(0) @binding(0) var<uniform> p: ResampleColumns;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bands: array<Band>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.y_plane { return; }
    var i = 0u;
    while i + 1u < p.bands && id.x >= bands[i + 1u].x { i++; }
    let band = bands[i];
    let inside = id.x - band.x;
    let start = id.y * 3u * p.x_plane + (band.row + inside / band.level_w) * p.frame_w;
    let t = taps(inside % band.level_w, p.frame_w, band.level_w, p.bilinear);
    var sum = vec3f(0.0);
    for (var j = t.first; j <= t.last; j++) {
        let at = start + j;
        sum += tap_weight(t, j, p.frame_w, band.level_w) * vec3f(x[at], x[p.x_plane + at], x[2u * p.x_plane + at]);
    }
    let normal = (sum / tap_total(t, p.frame_w, band.level_w) - 127.5) * 0.0078125;
    let at = id.y * 3u * p.y_plane + id.x;
    y[at] = normal.x;
    y[p.y_plane + at] = normal.y;
    y[2u * p.y_plane + at] = normal.z;
}
