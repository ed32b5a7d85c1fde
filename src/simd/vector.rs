//! The interface of vector registers that micro-kernels use.

/// A register of `f32` lanes.
///
/// Only [`super::Simd::run`] names the implementing types, after it has checked that the CPU supports their
/// instructions. This makes the safe methods safe.
pub(crate) trait Vector: Copy {
    /// Number of lanes; divides 16.
    const LANES: usize;
    /// Number of registers: 16 or 32.
    const REGISTERS: usize;

    /// Returns a vector with `value` in all lanes.
    fn splat(value: f32) -> Self;

    /// Loads `LANES` elements at `from`.
    ///
    /// # Safety
    ///
    /// The elements must be readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Loads the first `n` elements at `from`; the other lanes are zero.
    ///
    /// # Safety
    ///
    /// The elements must be readable, and `n` at most `LANES`.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;

    /// Loads the lowest three bytes of each of the first `n` words at `from`, as numbers: red, green and
    /// blue. The other lanes are zero.
    ///
    /// # Safety
    ///
    /// The words must be readable, and `n` at most `LANES`.
    unsafe fn load_bytes(from: *const u32, n: usize) -> [Self; 3];

    /// Writes `LANES` elements to `to`.
    ///
    /// # Safety
    ///
    /// The elements must be writable.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `n` lanes to `to`.
    ///
    /// # Safety
    ///
    /// The elements must be writable, and `n` at most `LANES`.
    unsafe fn store_first(self, to: *mut f32, n: usize);

    /// Writes the first `n` lanes, whole numbers under 2^24 that are not negative, to `to` as integers.
    ///
    /// # Safety
    ///
    /// They are writable; `n` is at most `LANES`.
    unsafe fn store_whole(self, to: *mut u32, n: usize);

    /// Returns `self + other`.
    fn add(self, other: Self) -> Self;

    /// Returns `self - other`.
    fn sub(self, other: Self) -> Self;

    /// Returns `self * factor + addend`, rounded once or twice.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// Returns `self > best ? self : best`; for a NaN in `self` the result is `best`.
    fn larger(self, best: Self) -> Self;

    /// Returns a mask in which bit `i` is set if lane `i` is greater than that of `other`.
    fn above(self, other: Self) -> u32;

    /// Returns `v > 0 ? v : slope v`; a NaN is kept.
    fn prelu(self, slope: Self) -> Self;

    /// Returns `self == other ? yes : 0`.
    fn where_equal(self, other: Self, yes: Self) -> Self;

    /// Returns `self > other ? yes : no`.
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self;

    /// Returns the lanes one place further: the last of `before`, then all of `self` but its last.
    fn moved(self, before: Self) -> Self;

    /// Returns the lanes of both in turn, `a0 b0 a1 b1 ...`: the first half and the second half.
    fn interleave(self, other: Self) -> [Self; 2];

    /// Inverse of [`Vector::interleave`]: returns the even and the odd lanes of both vectors in sequence.
    fn deinterleave(self, other: Self) -> [Self; 2];
}

/// Transposes `LANES` rows of `LANES` lanes. Each round exchanges one bit of the row number with one bit of
/// the lane number.
#[inline(always)]
pub(super) fn transpose<V: Vector>(rows: &mut [V; 16]) {
    let half = V::LANES / 2;
    let mut round = 1;
    while round < V::LANES {
        let old = *rows;
        for i in 0..half {
            let [low, high] = old[i].interleave(old[i + half]);
            rows[2 * i] = low;
            rows[2 * i + 1] = high;
        }
        round *= 2;
    }
}

/// Transposes `count` planes, `plane` elements apart, so that channels become lanes: writes the first
/// `pixels` of each to `to: [pixels, step]`, with zero in the lanes of channels beyond `count`.
///
/// # Panics
///
/// Panics if `x` is shorter, `step` is not a multiple of `LANES`, or `to` has no room for `LANES` more
/// pixels.
#[inline(always)]
pub(super) fn turn<V: Vector>(x: &[f32], [count, plane, pixels]: [usize; 3], to: &mut [f32], step: usize) {
    assert!(count > 0 && count <= step && x.len() >= (count - 1) * plane + pixels, "whole planes");
    assert!(step.is_multiple_of(V::LANES) && to.len() >= (pixels + V::LANES) * step, "room for all pixels");
    for channel in (0..step).step_by(V::LANES) {
        for pixel in (0..pixels).step_by(V::LANES) {
            let n = (pixels - pixel).min(V::LANES);
            let mut rows = [V::splat(0.0); 16];
            for (i, row) in rows.iter_mut().enumerate().take(V::LANES) {
                if channel + i < count {
                    // SAFETY: `n` pixels of this plane are left.
                    *row = unsafe { V::load_first(x.as_ptr().add((channel + i) * plane + pixel), n) };
                }
            }
            transpose(&mut rows);
            for (i, row) in rows.iter().enumerate().take(V::LANES) {
                // SAFETY: there is room for a vector's pixels after the last.
                unsafe { row.store(to.as_mut_ptr().add((pixel + i) * step + channel)) };
            }
        }
    }
}
