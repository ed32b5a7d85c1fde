//! Register tiles: the two inner loops on which all layers are based.

use super::Vector;

/// Number of output channels per group of packed weights.
pub(super) const GROUP: usize = 16;

/// The elements that contribute to one output: `c` planes with `rows x columns` elements of each.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub c: usize,
    pub plane: usize,
    pub rows: usize,
    pub width: usize,
    pub columns: usize,
}

/// Computes `C` output channels of `R` rows, `down` elements apart, with `W` vectors of adjacent pixels each,
/// with bias and PReLU, for wide rows. The weights of adjacent taps are `GROUP` apart.
///
/// # Safety
///
/// `x` must be readable over `window` for `W` vectors of pixels in `R` rows, `weight` for all taps, `bias`
/// and `slope` for `C` elements.
#[inline(always)]
pub(super) unsafe fn across<V: Vector, const C: usize, const W: usize, const R: usize>(
    window: Window,
    x: *const f32,
    down: usize,
    mut weight: *const f32,
    [bias, slope]: [*const f32; 2],
) -> [[[V; W]; R]; C] {
    // SAFETY: all offsets are covered by the contract.
    unsafe {
        let mut sums = [[[V::splat(0.0); W]; R]; C];
        for (o, sums) in sums.iter_mut().enumerate() {
            *sums = [[V::splat(*bias.add(o)); W]; R];
        }
        for c in 0..window.c {
            for u in 0..window.rows {
                let mut x = x.add(c * window.plane + u * window.width);
                for _ in 0..window.columns {
                    let mut pixels = [[V::splat(0.0); W]; R];
                    for (r, pixels) in pixels.iter_mut().enumerate() {
                        for (w, pixels) in pixels.iter_mut().enumerate() {
                            *pixels = V::load(x.add(r * down + w * V::LANES));
                        }
                    }
                    for (o, sums) in sums.iter_mut().enumerate() {
                        let weight = V::splat(*weight.add(o));
                        for (sums, pixels) in sums.iter_mut().zip(&pixels) {
                            for (sum, pixels) in sums.iter_mut().zip(pixels) {
                                *sum = weight.mul_add(*pixels, *sum);
                            }
                        }
                    }
                    weight = weight.add(GROUP);
                    x = x.add(1);
                }
            }
        }
        for (o, sums) in sums.iter_mut().enumerate() {
            let slope = V::splat(*slope.add(o));
            for sums in sums.iter_mut() {
                for sum in sums.iter_mut() {
                    *sum = sum.prelu(slope);
                }
            }
        }
        sums
    }
}

/// Weights whose lanes are output channels: vector `n` of a tap is at `first + offsets[n]`, and taps are
/// `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Lanes<const N: usize> {
    pub first: *const f32,
    pub offsets: [usize; N],
    pub stride: usize,
}

/// Computes `N` vectors of output channels of `P` pixels, `step` apart, for small maps and dense layers. With
/// bias and slope (`end`) the result is passed through PReLU, otherwise it is the bare sum. It is written to
/// `y`, `N` vectors per pixel.
///
/// # Safety
///
/// `x` must be readable over `window` for all pixels, `weight` for all taps, `bias` and `slope` for `N`
/// vectors; `y` must be writable.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const N: usize, const P: usize>(
    window: Window,
    x: *const f32,
    step: usize,
    weight: Lanes<N>,
    end: Option<[*const f32; 2]>,
    y: *mut f32,
) {
    // SAFETY: all offsets are covered by the contract.
    unsafe {
        let mut start = [V::splat(0.0); N];
        if let Some([bias, _]) = end {
            for (n, lanes) in start.iter_mut().enumerate() {
                *lanes = V::load(bias.add(n * V::LANES));
            }
        }
        let mut sums = [start; P];
        let mut taps = weight.first;
        for c in 0..window.c {
            for u in 0..window.rows {
                let mut x = x.add(c * window.plane + u * window.width);
                for _ in 0..window.columns {
                    let mut weights = [V::splat(0.0); N];
                    for (lanes, offset) in weights.iter_mut().zip(&weight.offsets) {
                        *lanes = V::load(taps.add(*offset));
                    }
                    for (p, sums) in sums.iter_mut().enumerate() {
                        let pixel = V::splat(*x.add(p * step));
                        for (sum, weights) in sums.iter_mut().zip(&weights) {
                            *sum = weights.mul_add(pixel, *sum);
                        }
                    }
                    taps = taps.add(weight.stride);
                    x = x.add(1);
                }
            }
        }
        for n in 0..N {
            let slope = end.map(|[_, slope]| V::load(slope.add(n * V::LANES)));
            for (p, sums) in sums.iter().enumerate() {
                let sum = slope.map_or(sums[n], |slope| sums[n].prelu(slope));
                sum.store(y.add((p * N + n) * V::LANES));
            }
        }
    }
}
