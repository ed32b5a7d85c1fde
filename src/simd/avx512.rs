//! Sixteen lanes: AVX-512.

use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{Task, Vector};

/// Whether the CPU and the system have everything that [`run`] enables, AVX2 and FMA aside.
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
        // SAFETY: readable, by contract; this type is only used inside `run`.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: writable, by contract; this type is only used inside `run`.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn prelu(self, slope: Self) -> Self {
        // SAFETY: this type is only used inside `run`.
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
            Self(_mm512_mask_mul_ps(self.0, !positive, self.0, slope.0))
        }
    }
}
