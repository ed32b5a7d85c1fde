//! What the micro-kernels need of a vector register.

/// A register of `f32` lanes.
///
/// Only [`super::Simd::run`] names the types behind it, after it found the CPU to have their instructions: that is what makes the safe
/// methods safe.
pub(crate) trait Vector: Copy {
    /// Elements; divides 16.
    const LANES: usize;
    /// Registers there are: 16 or 32.
    const REGISTERS: usize;

    /// All lanes `value`.
    fn splat(value: f32) -> Self;

    /// `LANES` elements at `from`.
    ///
    /// # Safety
    ///
    /// They are readable.
    unsafe fn load(from: *const f32) -> Self;

    /// The first `n` elements at `from`, zero in the other lanes.
    ///
    /// # Safety
    ///
    /// They are readable; `n` is at most `LANES`.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;

    /// The lowest three bytes of each of the first `n` words at `from`, as numbers: red, green and blue; zero in the other lanes.
    ///
    /// # Safety
    ///
    /// They are readable; `n` is at most `LANES`.
    unsafe fn load_bytes(from: *const u32, n: usize) -> [Self; 3];

    /// Writes `LANES` elements to `to`.
    ///
    /// # Safety
    ///
    /// They are writable.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `n` lanes to `to`.
    ///
    /// # Safety
    ///
    /// They are writable; `n` is at most `LANES`.
    unsafe fn store_first(self, to: *mut f32, n: usize);

    /// Writes the first `n` lanes, whole numbers under 2^24 that are not negative, to `to` as such.
    ///
    /// # Safety
    ///
    /// They are writable; `n` is at most `LANES`.
    unsafe fn store_whole(self, to: *mut u32, n: usize);

    /// `self + other`.
    fn add(self, other: Self) -> Self;

    /// `self - other`.
    fn sub(self, other: Self) -> Self;

    /// `self * factor + addend`, rounded once or twice.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// `self > best ? self : best`: a NaN in `self` gives `best`.
    fn larger(self, best: Self) -> Self;

    /// Bit `i` says that lane `i` is greater than that of `other`.
    fn above(self, other: Self) -> u32;

    /// `v > 0 ? v : slope v`; NaN stays.
    fn prelu(self, slope: Self) -> Self;

    /// `self == other ? yes : 0`.
    fn where_equal(self, other: Self, yes: Self) -> Self;

    /// `self > other ? yes : no`.
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self;

    /// Lanes one place further: the last of `before`, then all of `self` but its last.
    fn moved(self, before: Self) -> Self;

    /// Lanes of both in turn: `a0 b0 a1 b1 ...`, the first half and the second.
    fn interleave(self, other: Self) -> [Self; 2];

    /// The inverse of [`Vector::interleave`]: of the lanes of both in a row, the even and the odd ones.
    fn deinterleave(self, other: Self) -> [Self; 2];
}

/// Rows of `LANES` lanes, columns for rows. Each round moves one bit of the row number to the lane number and one back.
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

/// `count` planes, `plane` elements apart, with channels as lanes: the first `pixels` of each to `to: [pixels, step]`, zero in the lanes of
/// channels beyond `count`.
///
/// # Panics
///
/// If `x` is shorter, `step` is no multiple of `LANES`, or `to` has no room for `LANES` pixels more.
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
