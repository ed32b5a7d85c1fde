//! Convolution of any kernel side, stride, padding and number of groups; dense layers.

use rayon::prelude::*;

use super::sizes::{Sizes, Tiling, WIDTH, samples, sizes, work};
use super::{grid, prelu};
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{DepthwisePlane, Factor, Finish, Product, Simd, Start, Target};
use crate::tensor::noise;

crate::uniform! {
    /// `y[n,o,i,j] = bias[o] + Σ_{c,u,v} weight[o,c,u,v] x[n,c,i stride + u - padding,j stride + v - padding]`,
    /// `x` zero outside, `c` over the channels of the group of `o`; with an activation `min(prelu(y), most)`.
    ///
    /// Reads `x: [n, c, h, w]`, `weight: [out, c / groups, k, k]`, `bias: [out]` and `slope: [out]`; writes
    /// `y: [n, out, y_h, y_w]`. Without a bias or an activation, one element stands for it that is not read.
    pub struct Convolution {
        n: u32, c: u32, h: u32, w: u32, out: u32, k: u32, stride: u32, padding: u32, groups: u32, y_h: u32, y_w: u32, bias: u32, tiled: u32,
        sloped: u32, most: f32,
    }
}

impl Convolution {
    /// Of these sizes, with or without a bias.
    pub fn new(sizes: &Sizes, bias: bool, tiling: Tiling) -> Self {
        let &Sizes { n, c, h, w, out, k, stride, padding, groups, y_h, y_w } = sizes;
        let (bias, tiled) = (u32::from(bias), tiling.tiled());
        Self { n, c, h, w, out, k, stride, padding, groups, y_h, y_w, bias, tiled, sloped: 0, most: f32::MAX }
    }

    /// With a PReLU behind it, whose results are at most `most`.
    #[must_use]
    pub fn activated(self, most: f32) -> Self {
        Self { sloped: 1, most, ..self }
    }

    /// A convolution of every channel by itself, plane by plane.
    fn depthwise(&self, x: &[f32], weight: &[f32], bias: &[f32], slope: &[f32], y: &mut [f32]) {
        let (sizes, simd) = (sizes!(self), Simd::chosen());
        let (k, taps) = (self.k as usize, sizes.columns());
        let planes = y[..sizes.y_len()].par_chunks_exact_mut(sizes.y_plane()).zip(x.par_chunks_exact(sizes.x_plane()));
        planes.with_min_len(BLOCK / sizes.x_plane() + 1).enumerate().for_each(|(i, (y, x))| {
            let c = i % self.c as usize;
            let bias = if self.bias > 0 { bias[c] } else { 0.0 };
            let [size, grid] = [[self.h, self.w], [self.y_h, self.y_w]].map(|sides| sides.map(|side| side as usize));
            let (stride, padding) = (self.stride as usize, self.padding as usize);
            let finish = (self.sloped > 0).then(|| (slope[c], self.most));
            simd.run(DepthwisePlane { x, weight: &weight[c * taps..][..taps], bias, finish, y, size, grid, k, stride, padding });
        });
    }

    fn bias_len(&self) -> usize {
        if self.bias > 0 { self.out as usize } else { 1 }
    }

    fn slope_len(&self) -> usize {
        if self.sloped > 0 { self.out as usize } else { 1 }
    }
}

impl Kernel for Convolution {
    const NAME: &'static str = "convolution";
    const WGSL: &'static [&'static str] = wgsl!("nn/convolution", "shared/product", "shared/grid");
    const WORKGROUP: [u32; 3] = [WIDTH, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        work(self.tiled, self.groups, self.out / self.groups, self.n * self.y_h * self.y_w)
    }

    fn sizes(&self) -> Vec<usize> {
        let sizes = sizes!(self);
        vec![sizes.x_len(), sizes.weight_len(), self.bias_len(), self.slope_len(), sizes.y_len()]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k)), ("TILED", f64::from(self.tiled))]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, weight, bias, slope], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        let (channels, k) = (sizes.channels(), self.k as usize);
        for (i, y) in write[0][..sizes.y_len()].iter_mut().enumerate() {
            let (n, o) = (i / sizes.y_item(), i / sizes.y_plane() % self.out as usize);
            let place = [i / self.y_w as usize % self.y_h as usize, i % self.y_w as usize];
            let mut sum = if self.bias > 0 { f64::from(bias[o]) } else { 0.0 };
            for (c, u, v) in grid(channels, k, k) {
                if let Some(at) = sizes.x_at([n, o / sizes.outputs() * channels + c], place, [u, v]) {
                    sum += f64::from(weight[((o * channels + c) * k + u) * k + v]) * f64::from(x[at]);
                }
            }
            if self.sloped > 0 {
                sum = prelu(sum, f64::from(slope[o])).min(f64::from(self.most));
            }
            *y = sum as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, weight, bias, slope], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        if sizes.outputs() == 1 && sizes.channels() == 1 {
            return self.depthwise(x, weight, bias, slope, write[0]);
        }
        let (outputs, taps) = (sizes.outputs(), sizes.taps());
        for group in 0..self.groups as usize {
            let first = group * outputs;
            let image = sizes.image(x, group);
            let row = sizes.columns();
            let left = Factor { data: &weight[first * row..], rows: outputs, row, channel: (self.k * self.k) as usize };
            let start = if self.bias > 0 { Start::Rows(&bias[first..]) } else { Start::Zero };
            let data = &mut write[0][first * sizes.y_plane()..];
            let target = Target { data, item: sizes.y_item(), row: sizes.y_plane(), down: self.y_w as usize, right: 1, start };
            let finish = (self.sloped > 0).then(|| Finish { slopes: &slope[first..], most: self.most });
            Product { left, image, taps: &taps, target, finish }.run();
        }
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        sizes!(self).multiply_adds()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let bias = if self.bias > 0 { largest(read[2]) } else { 0.0 };
        let slope = if self.sloped > 0 { largest(read[3]).max(1.0) } else { 1.0 };
        (sizes!(self).columns() + 2) as f32 * (largest(read[0]) * largest(read[1])).max(bias) * slope * f32::EPSILON
    }
}

impl Samples for Convolution {
    fn samples() -> Vec<Sample<Self>> {
        let each = |(i, (sizes, tiling)): (usize, (Sizes, Tiling))| {
            let kernel = Self::new(&sizes, i % 4 < 2, tiling);
            let kernel = if i % 3 == 1 { kernel.activated(0.5) } else { kernel };
            let bias = if kernel.bias > 0 { noise(kernel.bias_len(), 3) } else { vec![f32::NAN] };
            let slope = if kernel.sloped > 0 { noise(kernel.slope_len(), 4) } else { vec![f32::NAN] };
            Sample { kernel, read: vec![noise(sizes.x_len(), 1), noise(sizes.weight_len(), 2), bias, slope] }
        };
        samples().into_iter().enumerate().map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::check_native;
    use super::*;

    #[test]
    fn every_instruction_set_and_number_of_threads_gives_what_the_twin_does() {
        check_native::<Convolution>();
    }
}
