//! Average pooling.

use rayon::prelude::*;

use super::Windows;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// The mean of every window, over the elements that there are: adaptive average pools, and with windows of
/// one element strided copies.
///
/// Reads `x: [n, c, x]`; writes `y: [n, c, y]`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct MeanPool(Windows);

impl MeanPool {
    /// Of `windows`.
    pub fn new(windows: Windows) -> Self {
        Self(windows)
    }
}

impl Kernel for MeanPool {
    const NAME: &'static str = "mean_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/mean_pool", "shared/grid", "shared/windows");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Windows::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.0.elements()[1] as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.elements().to_vec()
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (windows, [width, _]) = (self.0, self.0.widths());
        let planes = read[0].chunks_exact(windows.x_plane()).zip(write[0].chunks_exact_mut(windows.y_plane()));
        for (x, y) in planes.take(windows.planes()) {
            windows.visit(|window, rows, columns| {
                let elements = rows.flat_map(|row| columns.clone().map(move |column| row * width + column));
                let sum: f64 = elements.clone().map(|i| f64::from(x[i])).sum();
                y[window] = (sum / elements.count() as f64) as f32;
            });
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (windows, [width, _]) = (self.0, self.0.widths());
        let planes = read[0].par_chunks_exact(windows.x_plane()).zip(write[0].par_chunks_exact_mut(windows.y_plane()));
        planes.take(windows.planes()).with_min_len((BLOCK / windows.x_plane()).max(1)).for_each(|(x, y)| {
            windows.visit(|window, rows, columns| {
                let count = (rows.len() * columns.len()) as f32;
                let sum: f32 = rows.map(|row| x[row * width..][columns.clone()].iter().sum::<f32>()).sum();
                y[window] = sum / count;
            });
        });
    }

    /// A mean of so many terms errs by half an ε of the largest for each.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.0.terms()[1] + 3) as f32 * largest(read[0]) * f32::EPSILON
    }
}

impl Samples for MeanPool {
    fn samples() -> Vec<Sample<Self>> {
        Windows::samples().into_iter().map(|w| Sample { kernel: Self::new(w), read: vec![noise(w.elements()[0], 1)] }).collect()
    }
}
