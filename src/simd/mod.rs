//! Vector code of the CPU engine, and all of its `unsafe`: micro-kernels written once over [`vector::Vector`], compiled for AVX-512, for
//! AVX2 with FMA and for any CPU, one of which is chosen at run time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod chains;
mod conv;
mod dense;
mod pixels;
mod planes;
mod pool;
mod portable;
mod tile;
mod vector;

use std::fmt;
use std::sync::OnceLock;

pub(crate) use chains::{CHAINS, Chains};
pub(crate) use conv::ConvRows;
pub(crate) use dense::{DenseItems, ITEMS};
pub(crate) use pixels::AddPixels;
pub(crate) use planes::PlanesMut;
pub(crate) use pool::PoolRow;
pub(crate) use vector::Vector;

/// Overrides the choice of [`Simd::best`]: `portable`, `avx2` or `avx512`.
pub const SIMD_VARIABLE: &str = "MTCMCN_SIMD";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A set of vector instructions that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Path);

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Path::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => "avx512",
        })
    }
}

/// A computation that is compiled for every path.
pub(crate) trait Task {
    /// What it computes.
    type Output;

    /// Must be `#[inline(always)]`, as everything it calls, to be compiled with the path's instructions.
    fn run<V: Vector>(self) -> Self::Output;
}

impl Simd {
    /// What this machine has, slowest first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self(Path::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self(Path::Avx2));
                if avx512::detected() {
                    found.push(Self(Path::Avx512));
                }
            }
        }
        found
    }

    /// The fastest that this machine has, or what `MTCMCN_SIMD` names if the machine has that.
    pub fn best() -> Self {
        let available = Self::available();
        let best = available.last().copied().unwrap_or(Self(Path::Portable));
        let Ok(wanted) = std::env::var(SIMD_VARIABLE) else { return best };
        available.into_iter().find(|simd| simd.to_string() == wanted).unwrap_or_else(|| {
            if !wanted.is_empty() {
                tracing::warn!("{SIMD_VARIABLE}={wanted}: this machine has no such instructions; using {best}");
            }
            best
        })
    }

    /// [`Simd::best`], looked up once.
    pub(crate) fn chosen() -> Self {
        static CHOSEN: OnceLock<Simd> = OnceLock::new();
        *CHOSEN.get_or_init(Self::best)
    }

    /// Runs `task` compiled for this path.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            Path::Portable => task.run::<portable::F32x4>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `available`, which alone makes this path, found AVX2 and FMA.
            Path::Avx2 => unsafe { avx2::run(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `available`, which alone makes this path, found AVX-512 F, BW, DQ and VL besides.
            Path::Avx512 => unsafe { avx512::run(task) },
        }
    }
}
