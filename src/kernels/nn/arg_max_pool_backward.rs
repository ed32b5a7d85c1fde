//! Gradient of max pooling.

use rayon::prelude::*;

use super::arg_max_pool::ties;
use super::{ArgMaxPool, Windows};
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// `dx[i] += Σ dy[w]` over the windows `w` whose largest element is the one at `i`: the gradient of
/// [`ArgMaxPool`].
///
/// Reads `dy: [n, c, y]` and `places: [n, c, y]`; adds to `dx: [n, c, x]`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct ArgMaxPoolBackward(Windows);

impl ArgMaxPoolBackward {
    /// Of `windows`.
    pub fn new(windows: Windows) -> Self {
        Self(windows)
    }
}

impl Kernel for ArgMaxPoolBackward {
    const NAME: &'static str = "arg_max_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/arg_max_pool_backward", "shared/grid", "shared/windows");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Windows::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.0.elements()[0] as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        let [x, y] = self.0.elements();
        vec![y, y, x]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let windows = self.0;
        let (plane, places) = (windows.y_plane(), bytemuck::cast_slice::<f32, u32>(read[1]));
        for (at, dx) in write[0].chunks_exact_mut(windows.x_plane()).take(windows.planes()).enumerate() {
            let mut sums = vec![0.0; dx.len()];
            (at * plane..(at + 1) * plane).for_each(|window| sums[places[window] as usize] += f64::from(read[0][window]));
            dx.iter_mut().zip(sums).for_each(|(dx, sum)| *dx = (f64::from(*dx) + sum) as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let windows = self.0;
        let (plane, places) = (windows.y_plane(), bytemuck::cast_slice::<f32, u32>(read[1]));
        let planes =
            write[0].par_chunks_exact_mut(windows.x_plane()).zip(read[0].par_chunks_exact(plane)).zip(places.par_chunks_exact(plane));
        planes.take(windows.planes()).with_min_len((BLOCK / windows.x_plane()).max(1)).for_each(|((dx, dy), places)| {
            dy.iter().zip(places).for_each(|(dy, place)| dx[*place as usize] += dy);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = self.0.terms()[0] as f32;
        (terms + 2.0) * (1.0 + terms * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for ArgMaxPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        let sample = |windows: Windows| {
            let [x, y] = windows.elements();
            let [mut largest, mut places] = [1, 2].map(|_| vec![f32::NAN; y]);
            ArgMaxPool::new(windows).reference(1, &[&ties(x)], &mut [&mut largest, &mut places]);
            Sample { kernel: Self::new(windows), read: vec![noise(y, 2), places] }
        };
        Windows::samples().into_iter().map(sample).collect()
    }
}
