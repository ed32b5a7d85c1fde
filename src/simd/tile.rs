//! Register tiles: the two inner loops that all layers come down to.

use super::Vector;

/// Output channels that weights are packed in.
pub(super) const GROUP: usize = 16;

/// The products that one output element sums: `c` planes, `rows x columns` elements of each.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub c: usize,
    pub plane: usize,
    pub rows: usize,
    pub width: usize,
    pub columns: usize,
}

/// `C` output channels x `W` vectors of neighbouring pixels: for wide rows. Weights of a tap are `GROUP` apart from those of the next.
///
/// # Safety
///
/// `x` can be read over `window` for `W` vectors of pixels, `weight` for all taps, `bias` and `slope` for `C` elements; `y` can be
/// written for `W` vectors in each of `C` planes `stride` apart.
#[inline(always)]
pub(super) unsafe fn across<V: Vector, const C: usize, const W: usize>(
    window: Window,
    x: *const f32,
    mut weight: *const f32,
    [bias, slope]: [*const f32; 2],
    y: *mut f32,
    stride: usize,
) {
    // SAFETY: all offsets are those that the contract names.
    unsafe {
        let mut sums = [[V::splat(0.0); W]; C];
        for (o, sums) in sums.iter_mut().enumerate() {
            *sums = [V::splat(*bias.add(o)); W];
        }
        for c in 0..window.c {
            for u in 0..window.rows {
                let mut x = x.add(c * window.plane + u * window.width);
                for _ in 0..window.columns {
                    let mut pixels = [V::splat(0.0); W];
                    for (w, pixels) in pixels.iter_mut().enumerate() {
                        *pixels = V::load(x.add(w * V::LANES));
                    }
                    for (o, sums) in sums.iter_mut().enumerate() {
                        let weight = V::splat(*weight.add(o));
                        for (sum, pixels) in sums.iter_mut().zip(&pixels) {
                            *sum = weight.mul_add(*pixels, *sum);
                        }
                    }
                    weight = weight.add(GROUP);
                    x = x.add(1);
                }
            }
        }
        for (o, sums) in sums.iter().enumerate() {
            let slope = V::splat(*slope.add(o));
            for (w, sum) in sums.iter().enumerate() {
                sum.prelu(slope).store(y.add(o * stride + w * V::LANES));
            }
        }
    }
}

/// Weights whose lanes are output channels: vector `n` of a tap is at `first + offsets[n]`, the next tap `stride` further.
#[derive(Clone, Copy)]
pub(super) struct Lanes<const N: usize> {
    pub first: *const f32,
    pub offsets: [usize; N],
    pub stride: usize,
}

/// `N` vectors of output channels x `P` pixels: for narrow planes and dense layers. Pixel `p` is at `x + p` if `NEIGHBOURS`, else at
/// `x + places[p]`. Results go to `y`, `N` vectors a pixel.
///
/// # Safety
///
/// `x` can be read over `window` for all pixels, `weight` for all taps, `bias` and `slope` for `N` vectors; `y` can be written.
#[inline(always)]
pub(super) unsafe fn channels<V: Vector, const N: usize, const P: usize, const NEIGHBOURS: bool>(
    window: Window,
    x: *const f32,
    places: &[usize; P],
    weight: Lanes<N>,
    [bias, slope]: [*const f32; 2],
    y: *mut f32,
) {
    // SAFETY: all offsets are those that the contract names.
    unsafe {
        let mut biases = [V::splat(0.0); N];
        for (n, lanes) in biases.iter_mut().enumerate() {
            *lanes = V::load(bias.add(n * V::LANES));
        }
        let mut sums = [biases; P];
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
                        let pixel = V::splat(*x.add(if NEIGHBOURS { p } else { places[p] }));
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
            let slope = V::load(slope.add(n * V::LANES));
            for (p, sums) in sums.iter().enumerate() {
                sums[n].prelu(slope).store(y.add((p * N + n) * V::LANES));
            }
        }
    }
}
