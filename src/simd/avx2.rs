//! Eight lanes: AVX2 with FMA.

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{Task, Vector};

/// Runs `task` with AVX2 and FMA instructions.
#[target_feature(enable = "avx2,fma")]
pub fn run<T: Task>(task: T) -> T::Output {
    task.run::<F32x8>()
}

#[derive(Clone, Copy)]
pub struct F32x8(__m256);

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
        // SAFETY: readable, by contract; this type is only used inside `run`.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: writable, by contract; this type is only used inside `run`.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn prelu(self, slope: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        unsafe {
            let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, _mm256_setzero_ps());
            Self(_mm256_blendv_ps(_mm256_mul_ps(self.0, slope.0), self.0, positive))
        }
    }
}
