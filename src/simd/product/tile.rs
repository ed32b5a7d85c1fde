//! The register tile that all matrix products come down to.

use super::super::Vector;

/// Rows of a tile, at most: as many as the left factor is packed by.
#[inline(always)]
pub(super) const fn rows<V: Vector>() -> usize {
    if V::REGISTERS >= 32 { 8 } else { 6 }
}

/// Columns of a tile: what a panel of the right factor is wide.
#[inline(always)]
pub(super) const fn columns<V: Vector>() -> usize {
    V::LANES * 2
}

/// The left factor: row `r` at depth `k` is `r * row + k * step` elements after `first`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub first: *const f32,
    pub row: usize,
    pub step: usize,
}

/// What the sums are added to.
#[derive(Clone, Copy)]
pub(super) enum Base {
    /// Nothing: they overwrite what was there.
    Zero,
    /// What is there.
    There,
    /// One value a row, overwriting what was there.
    Rows(*const f32),
}

/// Where the sums go: row `r` starts `r * row` elements after `first`.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub first: *mut f32,
    pub row: usize,
    pub base: Base,
}

/// `count` rows (1, 2, 4, 6 or 8) of the left factor times a panel of the right one, `[depth, columns]`.
///
/// # Safety
///
/// The rows, the panel and a base of rows can be read; whole rows of the sums can be read and written.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector>(count: usize, depth: usize, left: Left, right: *const f32, sums: Sums) {
    debug_assert!(count <= rows::<V>(), "no more rows than registers");
    // SAFETY: by contract.
    unsafe {
        match (V::REGISTERS >= 32, count) {
            (true, 8) => both::<V, 8, 2>(depth, left, right, sums),
            (false, 6) => both::<V, 6, 2>(depth, left, right, sums),
            (_, 4) => both::<V, 4, 2>(depth, left, right, sums),
            (_, 2) => both::<V, 2, 2>(depth, left, right, sums),
            _ => both::<V, 1, 2>(depth, left, right, sums),
        }
    }
}

/// Rows of the next tile when `left` of them remain.
#[inline(always)]
pub(super) fn next_rows<V: Vector>(left: usize) -> usize {
    let most = rows::<V>();
    if left >= most { most } else { 1 << left.ilog2() }
}

/// Compiled apart for a packed left factor, whose offsets are constants, for one whose rows are neighbours,
/// and for any other.
#[inline(always)]
unsafe fn both<V: Vector, const R: usize, const N: usize>(depth: usize, left: Left, right: *const f32, sums: Sums) {
    // SAFETY: by the contract of `tile`.
    unsafe {
        if left.row == 1 && left.step == rows::<V>() {
            multiply::<V, R, N, false>(depth, Left { first: left.first, row: 1, step: rows::<V>() }, right, sums);
        } else if left.row == 1 {
            multiply::<V, R, N, true>(depth, Left { first: left.first, row: 1, step: left.step }, right, sums);
        } else {
            multiply::<V, R, N, false>(depth, left, right, sums);
        }
    }
}

/// With `ASK`, the next line of cache of every level is asked for: levels may be on pages of their own, which
/// nothing else would fetch in time.
#[inline(always)]
unsafe fn multiply<V: Vector, const R: usize, const N: usize, const ASK: bool>(depth: usize, left: Left, mut right: *const f32, to: Sums) {
    // SAFETY: by the contract of `tile`.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; R];
        let mut from = left.first;
        for _ in 0..depth {
            if ASK {
                prefetch(from.wrapping_add(16), 1);
            }
            let mut lanes = [V::splat(0.0); N];
            for (n, lanes) in lanes.iter_mut().enumerate() {
                *lanes = V::load(right.add(n * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*from.add(r * left.row));
                for (sum, lanes) in sums.iter_mut().zip(&lanes) {
                    *sum = lanes.mul_add(value, *sum);
                }
            }
            from = from.wrapping_add(left.step);
            right = right.add(N * V::LANES);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                let at = to.first.add(r * to.row + n * V::LANES);
                match to.base {
                    Base::Zero => sum.store(at),
                    Base::There => V::load(at).add(*sum).store(at),
                    Base::Rows(base) => V::splat(*base.add(r)).add(*sum).store(at),
                }
            }
        }
    }
}

/// Asks for the cache lines of `len` elements.
#[inline(always)]
pub(super) fn prefetch(first: *const f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..len.div_ceil(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that a program could see; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line * 16).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, len);
}
