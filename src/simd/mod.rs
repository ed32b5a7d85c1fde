//! Vector code of the CPU engine, and all `unsafe` code of the library: micro-kernels are written once over
//! [`vector::Vector`], and compiled for AVX-512, for AVX2 with FMA and for any CPU. One of these paths is
//! chosen at run time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bands;
mod chains;
mod conv;
mod conv_map;
mod correlate;
mod dense;
mod dense_backward;
mod depthwise;
mod filtering;
mod maps;
mod overlap;
mod pixels;
mod plain;
mod planes;
mod pool;
mod pool_backward;
mod pool_places;
mod portable;
mod product;
mod scratch;
mod sink;
mod tile;
mod vector;
mod winograd;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use bands::{Bands, ResampleLines, Taps};
pub(crate) use chains::{CHAINS, Chains};
pub(crate) use conv::{ConvRows, NARROWEST};
pub(crate) use conv_map::ConvMap;
pub(crate) use correlate::Correlate;
pub(crate) use dense::{DenseOutputs, OUTPUTS};
pub(crate) use dense_backward::{DenseBackwardInputs, DenseBackwardWeights};
pub(crate) use depthwise::DepthwisePlane;
pub(crate) use maps::MapLayer;
pub(crate) use overlap::{OverlapRow, PLANES};
pub(crate) use pixels::{CropPixels, SumRows};
pub(crate) use plain::Plain;
pub(crate) use planes::PlanesMut;
pub(crate) use pool::PoolPlane;
pub(crate) use pool_backward::PoolBackward;
pub(crate) use pool_places::PoolPlaces;
pub(crate) use product::{Factor, Finish, Gradient, Image, Product, Start, Tap, Target};
pub(crate) use vector::Vector;
pub(crate) use winograd::{FilterSizes, Transform, Transformed};

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

/// Position of the chosen set among those available, counted from 1; 0 until it has been determined.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// A set of vector instructions that this machine supports.
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
    /// Result of the computation.
    type Output;

    /// Runs the computation. It must be `#[inline(always)]`, like everything that it calls, to be compiled
    /// with the path's instructions.
    fn run<V: Vector>(self) -> Self::Output;
}

impl Simd {
    /// Returns the sets that this machine supports, slowest first.
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

    /// Returns the fastest set that this machine supports, or the one that `MTCMCN_SIMD` names if the machine
    /// supports it.
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

    /// Returns the set that all CPU engines of this process use: [`Simd::best`], unless [`Simd::choose`]
    /// selected another.
    pub fn chosen() -> Self {
        match CHOSEN.load(Ordering::Relaxed) {
            0 => {
                let best = Self::best();
                best.choose();
                best
            }
            #[cfg(target_arch = "x86_64")]
            // Only sets that `available` found are ever stored.
            3 => Self(Path::Avx512),
            #[cfg(target_arch = "x86_64")]
            2 => Self(Path::Avx2),
            _ => Self(Path::Portable),
        }
    }

    /// Makes all CPU engines of this process use this set from now on, for tests and measurements.
    pub fn choose(self) {
        let place = Self::available().iter().position(|simd| *simd == self);
        CHOSEN.store(place.map_or(0, |place| place + 1), Ordering::Relaxed);
    }

    /// Runs `test` with each set that this machine supports. The choice is the whole process's, so tests that
    /// make it take turns.
    #[cfg(test)]
    pub(crate) fn try_each(test: impl Fn(Self)) {
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for simd in Self::available() {
            simd.choose();
            test(simd);
        }
        Self::best().choose();
    }

    /// Runs `task` compiled for this path.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            Path::Portable => task.run::<portable::F32x4>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this path, after it has found AVX2 and FMA.
            Path::Avx2 => unsafe { avx2::run(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this path, after it has also found AVX-512 F, BW, DQ and VL.
            Path::Avx512 => unsafe { avx512::run(task) },
        }
    }
}
