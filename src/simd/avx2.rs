//! Vectors of eight lanes: AVX2 with FMA.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_EQ_OQ, _CMP_GT_OQ, _mm_castps_pd, _mm_movehl_ps, _mm_store_ss, _mm_storel_pd, _mm_storeu_ps, _mm256_add_ps,
    _mm256_alignr_epi8, _mm256_and_ps, _mm256_and_si256, _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps_si256,
    _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_cvtepi32_ps, _mm256_cvttps_epi32,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_epi32, _mm256_maskload_ps, _mm256_max_ps, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_permute4x64_pd, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps,
    _mm256_shuffle_ps, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{Task, Vector};

/// Runs `task` with AVX2 and FMA instructions.
#[target_feature(enable = "avx2,fma")]
pub fn run<T: Task>(task: T) -> T::Output {
    task.run::<F32x8>()
}

#[derive(Clone, Copy)]
pub struct F32x8(__m256);

impl F32x8 {
    #[inline(always)]
    fn first(n: usize) -> __m256i {
        // SAFETY: this type is only used inside `run`.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }
}

impl Vector for F32x8 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the elements are readable, by contract; this type is only used inside `run`.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: the elements that the mask selects are readable, by contract; this type is only used inside
        // `run`.
        Self(unsafe { _mm256_maskload_ps(from, Self::first(n)) })
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u32, n: usize) -> [Self; 3] {
        // SAFETY: the elements that the mask selects are readable, by contract; this type is only used inside
        // `run`.
        unsafe {
            let (words, byte) = (_mm256_maskload_epi32(from.cast(), Self::first(n)), _mm256_set1_epi32(255));
            let (green, blue) = (_mm256_srli_epi32::<8>(words), _mm256_srli_epi32::<16>(words));
            [
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(words, byte))),
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(green, byte))),
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(blue, byte))),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the elements are writable, by contract; this type is only used inside `run`.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        // Many processors take a dozen cycles for a masked store.
        // SAFETY: `n` elements are writable, by contract; this type is only used inside `run`.
        unsafe {
            if n >= Self::LANES {
                return _mm256_storeu_ps(to, self.0);
            }
            let (mut to, mut rest) = (to, _mm256_castps256_ps128(self.0));
            if n & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(self.0));
            }
            if n & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if n & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_whole(self, to: *mut u32, n: usize) {
        // SAFETY: `n` elements are writable, by contract; this type is only used inside `run`.
        unsafe { Self(_mm256_castsi256_ps(_mm256_cvttps_epi32(self.0))).store_first(to.cast(), n) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn larger(self, best: Self) -> Self {
        // SAFETY: this type is only used inside `run`. If one operand is NaN, the instruction returns the
        // second.
        Self(unsafe { _mm256_max_ps(self.0, best.0) })
    }

    #[inline(always)]
    fn above(self, other: Self) -> u32 {
        // SAFETY: this type is only used inside `run`.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) as u32 }
    }

    #[inline(always)]
    fn prelu(self, slope: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        unsafe {
            let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, _mm256_setzero_ps());
            Self(_mm256_blendv_ps(_mm256_mul_ps(self.0, slope.0), self.0, positive))
        }
    }

    #[inline(always)]
    fn where_equal(self, other: Self, yes: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, other.0), yes.0) })
    }

    #[inline(always)]
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) })
    }

    #[inline(always)]
    fn moved(self, before: Self) -> Self {
        // SAFETY: this type is only used inside `run`. Each half takes its first lane from the last of the
        // half before it.
        unsafe {
            let behind = _mm256_castps_si256(_mm256_permute2f128_ps::<0x21>(before.0, self.0));
            Self(_mm256_castsi256_ps(_mm256_alignr_epi8::<12>(_mm256_castps_si256(self.0), behind)))
        }
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: this type is only used inside `run`.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
            [Self(_mm256_permute2f128_ps::<0x20>(low, high)), Self(_mm256_permute2f128_ps::<0x31>(low, high))]
        }
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> [Self; 2] {
        // SAFETY: this type is only used inside `run`. The shuffle leaves pairs in the order 0, 2, 1, 3.
        unsafe {
            let (even, odd) = (_mm256_shuffle_ps::<0b10_00_10_00>(self.0, other.0), _mm256_shuffle_ps::<0b11_01_11_01>(self.0, other.0));
            [even, odd].map(|pairs| Self(_mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(pairs)))))
        }
    }
}
