//! Vectors of sixteen lanes: AVX-512.

use std::arch::x86_64::{
    __m512, __m512i, __mmask16, _CMP_EQ_OQ, _CMP_GT_OQ, _mm512_add_ps, _mm512_and_si512, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_cvttps_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_mask_mul_ps, _mm512_mask_storeu_epi32,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi32, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_permutex2var_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Task, Vector};

/// Returns whether the CPU and the system support everything that [`run`] enables, apart from AVX2 and FMA.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// Runs `task` with AVX-512 instructions.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
pub fn run<T: Task>(task: T) -> T::Output {
    task.run::<F32x16>()
}

#[derive(Clone, Copy)]
pub struct F32x16(__m512);

impl F32x16 {
    #[inline(always)]
    fn first(n: usize) -> __mmask16 {
        ((1_u32 << n) - 1) as __mmask16
    }

    /// Returns the lanes that `picks` selects: 0 to 15 from `self`, 16 to 31 from `other`.
    #[inline(always)]
    fn pick(self, other: Self, picks: __m512i) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_permutex2var_ps(self.0, picks, other.0) })
    }
}

impl Vector for F32x16 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the elements are readable, by contract; this type is only used inside `run`.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: the elements that the mask selects are readable, by contract; this type is only used inside
        // `run`.
        Self(unsafe { _mm512_maskz_loadu_ps(Self::first(n), from) })
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u32, n: usize) -> [Self; 3] {
        // SAFETY: the elements that the mask selects are readable, by contract; this type is only used inside
        // `run`.
        unsafe {
            let (words, byte) = (_mm512_maskz_loadu_epi32(Self::first(n), from.cast()), _mm512_set1_epi32(255));
            let (green, blue) = (_mm512_srli_epi32::<8>(words), _mm512_srli_epi32::<16>(words));
            [
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(words, byte))),
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(green, byte))),
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(blue, byte))),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the elements are writable, by contract; this type is only used inside `run`.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        // SAFETY: the elements that the mask selects are writable, by contract; this type is only used inside
        // `run`.
        unsafe { _mm512_mask_storeu_ps(to, Self::first(n), self.0) }
    }

    #[inline(always)]
    unsafe fn store_whole(self, to: *mut u32, n: usize) {
        // SAFETY: what the mask leaves is writable, by contract; this type is only used inside `run`.
        unsafe { _mm512_mask_storeu_epi32(to.cast(), Self::first(n), _mm512_cvttps_epi32(self.0)) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn larger(self, best: Self) -> Self {
        // SAFETY: this type is only used inside `run`. If one operand is NaN, the instruction returns the
        // second.
        Self(unsafe { _mm512_max_ps(self.0, best.0) })
    }

    #[inline(always)]
    fn above(self, other: Self) -> u32 {
        // SAFETY: this type is only used inside `run`.
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0)) }
    }

    #[inline(always)]
    fn prelu(self, slope: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
            Self(_mm512_mask_mul_ps(self.0, !positive, self.0, slope.0))
        }
    }

    #[inline(always)]
    fn where_equal(self, other: Self, yes: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0), yes.0) })
    }

    #[inline(always)]
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0), no.0, yes.0) })
    }

    #[inline(always)]
    fn moved(self, before: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        self.pick(before, unsafe { _mm512_setr_epi32(31, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) })
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: this type is only used inside `run`.
        let [low, high] = unsafe {
            [
                _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
                _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
            ]
        };
        [self.pick(other, low), self.pick(other, high)]
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> [Self; 2] {
        // SAFETY: this type is only used inside `run`.
        let [even, odd] = unsafe {
            [
                _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31),
            ]
        };
        [self.pick(other, even), self.pick(other, odd)]
    }
}
