//! Gradient of average pooling.

use rayon::prelude::*;

use super::Windows;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// `dx[i] += Σ dy[w] / |w|` over the windows `w` that cover `i`: the gradient of
/// [`MeanPool`](super::MeanPool).
///
/// Reads `dy: [n, c, y]`; adds to `dx: [n, c, x]`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct MeanPoolBackward(Windows);

impl MeanPoolBackward {
    /// Of `windows`.
    pub fn new(windows: Windows) -> Self {
        Self(windows)
    }
}

impl Kernel for MeanPoolBackward {
    const NAME: &'static str = "mean_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/mean_pool_backward", "shared/grid", "shared/windows");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Windows::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.0.elements()[0] as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        let [x, y] = self.0.elements();
        vec![y, x]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (windows, [width, _]) = (self.0, self.0.widths());
        let planes = read[0].chunks_exact(windows.y_plane()).zip(write[0].chunks_exact_mut(windows.x_plane()));
        for (dy, dx) in planes.take(windows.planes()) {
            let mut sums = vec![0.0; dx.len()];
            windows.visit(|window, rows, columns| {
                let share = f64::from(dy[window]) / (rows.len() * columns.len()) as f64;
                rows.for_each(|row| columns.clone().for_each(|column| sums[row * width + column] += share));
            });
            dx.iter_mut().zip(sums).for_each(|(dx, sum)| *dx = (f64::from(*dx) + sum) as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (windows, [width, _]) = (self.0, self.0.widths());
        let planes = read[0].par_chunks_exact(windows.y_plane()).zip(write[0].par_chunks_exact_mut(windows.x_plane()));
        planes.take(windows.planes()).with_min_len((BLOCK / windows.x_plane()).max(1)).for_each(|(dy, dx)| {
            windows.visit(|window, rows, columns| {
                let share = dy[window] / (rows.len() * columns.len()) as f32;
                rows.for_each(|row| dx[row * width..][columns.clone()].iter_mut().for_each(|dx| *dx += share));
            });
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = self.0.terms()[0] as f32;
        (terms + 2.0) * (1.0 + terms * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for MeanPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        Windows::samples().into_iter().map(|w| Sample { kernel: Self::new(w), read: vec![noise(w.elements()[1], 1)] }).collect()
    }
}
