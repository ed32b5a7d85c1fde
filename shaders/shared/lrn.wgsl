// Normalization over 9 neighbouring channels: the kernel binds `x: [n, c, plane]`, `p` has `c` and `plane`.

const REACH: u32 = 4u; // number of channels on either side
const ALPHA: f32 = 1e-4 / 9.0;

// Returns (1 + 1e-4 / 9 * sum of the squares around `channel`)^-0.5 at a position whose element in channel 0
// is `first`. Channels beyond the first and last count as zero.
fn inverse_root(first: u32, channel: u32) -> f32 {
    var squares = 0.0;
    for (var c = max(channel, REACH) - REACH; c < min(channel + REACH + 1u, p.c); c++) {
        let v = x[first + c * p.plane];
        squares += v * v;
    }
    return inverseSqrt(1.0 + ALPHA * squares);
}
