//! Gradient of the input of a convolution or dense layer.

use super::grid;
use super::sizes::{Sizes, Tiling, WIDTH, samples, sizes, tile};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Factor, Image, Product, Start, Tap, Target};
use crate::tensor::noise;

crate::uniform! {
    /// `dx[n,c,a,b] += Σ_{o,u,v} weight[o,c,u,v] dy[n,o,(a + padding - u) / stride,(b + padding - v) / stride]`,
    /// where the stride divides both and `dy` has them, `o` over the outputs of the group of `c`.
    ///
    /// Reads `dy: [n, out, y_h, y_w]` and `weight: [out, c / groups, k, k]`; adds to `dx: [n, c, h, w]`.
    /// Elements whose rows and columns leave the same remainders by the stride meet the same taps: kernels go
    /// through them class by class.
    pub struct ConvolutionBackwardInput {
        n: u32, c: u32, h: u32, w: u32, out: u32, k: u32, stride: u32, padding: u32, groups: u32, y_h: u32, y_w: u32, tiled: u32,
    }
}

impl ConvolutionBackwardInput {
    /// Of a convolution of these sizes.
    pub fn new(sizes: &Sizes, tiling: Tiling) -> Self {
        let &Sizes { n, c, h, w, out, k, stride, padding, groups, y_h, y_w } = sizes;
        Self { n, c, h, w, out, k, stride, padding, groups, y_h, y_w, tiled: tiling.tiled() }
    }

    /// Remainders of rows and columns by the stride.
    fn classes(&self) -> impl Iterator<Item = [u32; 2]> + use<> {
        let stride = self.stride;
        (0..stride).flat_map(move |row| (0..stride).map(move |column| [row, column]))
    }

    /// Rows and columns of `x` with these remainders.
    fn extent(&self, [row, column]: [u32; 2]) -> [u32; 2] {
        [self.h.saturating_sub(row).div_ceil(self.stride), self.w.saturating_sub(column).div_ceil(self.stride)]
    }

    /// The taps that elements with these remainders meet, as seen from the first of them in `dy`.
    fn taps(&self, [row, column]: [u32; 2]) -> Vec<Tap> {
        let step = |first: u32, tap: u32| {
            let past = (first + self.padding) as isize - tap as isize;
            (past % self.stride as isize == 0).then_some(past / self.stride as isize)
        };
        let all = (0..self.k).flat_map(|u| (0..self.k).map(move |v| (u, v)));
        all.filter_map(|(u, v)| Some(Tap { weight: (u * self.k + v) as usize, at: [step(row, u)?, step(column, v)?] })).collect()
    }

    /// The gradient of a dense layer's input: the gradients of an item are one place of an image, the weights
    /// of an input a row.
    fn dense(&self, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        let (n, inputs, outputs) = (self.n as usize, self.c as usize, self.out as usize);
        let image = Image { data: dy, items: n, item: outputs, channels: outputs, plane: 1, size: [1, 1], grid: [1, 1], step: 1 };
        let left = Factor { data: weight, rows: inputs, row: 1, channel: inputs };
        let target = Target { data: dx, item: inputs, row: 1, down: 1, right: 1, start: Start::Add };
        Product { left, image, taps: &[Tap { weight: 0, at: [0, 0] }], target, finish: None }.run();
    }
}

impl Kernel for ConvolutionBackwardInput {
    const NAME: &'static str = "convolution_backward_input";
    const WGSL: &'static [&'static str] = wgsl!("nn/convolution_backward_input", "shared/product", "shared/grid");
    const WORKGROUP: [u32; 3] = [WIDTH, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        let [rows, columns] = tile(self.tiled);
        let tiles = |class| (self.n * self.extent(class)[0] * self.extent(class)[1]).div_ceil(columns);
        let across: u32 = self.classes().map(tiles).sum();
        Work::folded(self.groups * (self.c / self.groups).div_ceil(rows) * across * WIDTH)
    }

    fn sizes(&self) -> Vec<usize> {
        let sizes = sizes!(self);
        vec![sizes.y_len(), sizes.weight_len(), sizes.x_len()]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k)), ("TILED", f64::from(self.tiled))]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([dy, weight], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        let (channels, outputs, k) = (sizes.channels(), sizes.outputs(), self.k as usize);
        let (y_h, y_w, stride, padding) = (self.y_h as usize, self.y_w as usize, self.stride as usize, self.padding as usize);
        let step = |at: usize, tap: usize, size: usize| {
            let past = (at + padding).checked_sub(tap)?;
            (past % stride == 0 && past / stride < size).then_some(past / stride)
        };
        for (i, dx) in write[0][..sizes.x_len()].iter_mut().enumerate() {
            let (n, c) = (i / sizes.x_item(), i / sizes.x_plane() % self.c as usize);
            let [a, b] = [i / self.w as usize % self.h as usize, i % self.w as usize];
            let mut sum = f64::from(*dx);
            for (o, u, v) in grid(outputs, k, k) {
                if let (Some(row), Some(column)) = (step(a, u, y_h), step(b, v, y_w)) {
                    let o = c / channels * outputs + o;
                    let value = dy[n * sizes.y_item() + (o * y_h + row) * y_w + column];
                    sum += f64::from(weight[((o * channels + c % channels) * k + u) * k + v]) * f64::from(value);
                }
            }
            *dx = sum as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([dy, weight], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        if sizes.is_dense() {
            return self.dense(dy, weight, write[0]);
        }
        let (channels, outputs) = (sizes.channels(), sizes.outputs());
        for (group, class) in (0..self.groups as usize).flat_map(|group| self.classes().map(move |class| (group, class))) {
            let image = Image {
                data: &dy[group * outputs * sizes.y_plane()..],
                items: self.n as usize,
                item: sizes.y_item(),
                channels: outputs,
                plane: sizes.y_plane(),
                size: [self.y_h as usize, self.y_w as usize],
                grid: self.extent(class).map(|size| size as usize),
                step: 1,
            };
            if image.places() == 0 {
                continue;
            }
            let data = &weight[group * outputs * sizes.columns()..];
            let left = Factor { data, rows: channels, row: (self.k * self.k) as usize, channel: sizes.columns() };
            let data = &mut write[0][group * channels * sizes.x_plane() + (class[0] * self.w + class[1]) as usize..];
            let (down, right) = ((self.stride * self.w) as usize, self.stride as usize);
            let target = Target { data, item: sizes.x_item(), row: sizes.x_plane(), down, right, start: Start::Add };
            Product { left, image, taps: &self.taps(class), target, finish: None }.run();
        }
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        sizes!(self).multiply_adds()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = self.out / self.groups * self.k.div_ceil(self.stride).pow(2) + 1;
        terms as f32 * (largest(read[0]) * largest(read[1])).max(1.0) * f32::EPSILON
    }
}

impl Samples for ConvolutionBackwardInput {
    fn samples() -> Vec<Sample<Self>> {
        let each = |(sizes, tiling): (Sizes, Tiling)| Sample {
            kernel: Self::new(&sizes, tiling),
            read: vec![noise(sizes.y_len(), 1), noise(sizes.weight_len(), 2)],
        };
        samples().into_iter().map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::check_native;
    use super::*;

    #[test]
    fn every_instruction_set_and_number_of_threads_gives_what_the_twin_does() {
        check_native::<ConvolutionBackwardInput>();
    }
}
