// Four adjacent channels of an output: the kernel binds `y: [n, out, y_plane]`, `p` has `out` and `y_plane`.

fn prelu(sums: vec4f, slope: vec4f) -> vec4f { return select(slope * sums, sums, sums > vec4f(0.0)); }

// Writes those of the four channels starting at `channel` that exist, the first at `at`.
fn store4(v: vec4f, channel: u32, at: u32) {
    if channel < p.out { y[at] = v.x; }
    if channel + 1u < p.out { y[at + p.y_plane] = v.y; }
    if channel + 2u < p.out { y[at + 2u * p.y_plane] = v.z; }
    if channel + 3u < p.out { y[at + 3u * p.y_plane] = v.w; }
}
