//! Gradient of the weights of a convolution or dense layer.

use super::sizes::{Sizes, Tiling, WIDTH, samples, sizes, work};
use crate::kernels::train::Reduce;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Recording, Slot, Work};
use crate::simd::{Factor, Gradient, Image, Product, Start, Tap, Target};
use crate::tensor::noise;

crate::uniform! {
    /// `dweight[o,c,u,v] += Σ_{n,i,j} dy[n,o,i,j] x[n,c,i stride + u - padding,j stride + v - padding]`, `x`
    /// zero outside, `c` over the channels of the group of `o`: if there is one slab. Else the sums of each
    /// slab of `slab` neighbouring places `(n, i, j)`, for `reduce`.
    ///
    /// Reads `x: [n, c, h, w]` and `dy: [n, out, y_h, y_w]`; adds to `dweight: [out, c / groups, k, k]`, or
    /// writes it for each slab, `[slabs, out, c / groups, k, k]`. Slabs follow from the sizes alone.
    pub struct ConvolutionBackwardWeight {
        n: u32, c: u32, h: u32, w: u32, out: u32, k: u32, stride: u32, padding: u32, groups: u32, y_h: u32, y_w: u32, slab: u32, slabs: u32,
        tiled: u32,
    }
}

/// Places of a slab, at most: an invocation may loop over each.
const MOST: u32 = 1 << 14;
/// Places of a slab, at least, if it is only for more invocations at a time.
const LEAST: u32 = 1 << 10;
/// Workgroups that a GPU should have.
const WORKGROUPS: u32 = 256;

impl ConvolutionBackwardWeight {
    /// Of a convolution of these sizes.
    pub fn new(sizes: &Sizes, tiling: Tiling) -> Self {
        let &Sizes { n, c, h, w, out, k, stride, padding, groups, y_h, y_w } = sizes;
        let places = n * y_h * y_w;
        let tiles = groups * (out / groups).div_ceil(64) * (sizes.columns() as u32).div_ceil(64);
        let slabs = WORKGROUPS.div_ceil(tiles).min(places / LEAST).max(places.div_ceil(MOST)).max(1);
        let slab = places.div_ceil(slabs);
        Self { n, c, h, w, out, k, stride, padding, groups, y_h, y_w, slab, slabs: places.div_ceil(slab), tiled: tiling.tiled() }
    }

    /// Partial sums of the gradient: 1 if the kernel adds to the gradient itself.
    pub fn slabs(&self) -> u32 {
        self.slabs
    }

    /// Appends the gradient of the weights from `x` and `dy` to `dweight`: this kernel, and `reduce` if there
    /// are partial sums.
    pub fn record(self, recording: &mut Recording, x: Slot, dy: Slot, dweight: Slot) {
        if self.slabs == 1 {
            return recording.push(self, &[x, dy, dweight]);
        }
        let len = sizes!(&self).weight_len();
        let partial = recording.slot("partial gradient of weights", self.slabs as usize * len);
        recording.push(self, &[x, dy, partial]);
        recording.push(Reduce::slabs_first(self.slabs, len as u32), &[partial, dweight]);
    }

    /// Of a dense layer: the input is one image, whose channels are items and whose places are inputs.
    fn dense(&self, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        let (n, inputs, outputs) = (self.n as usize, self.c as usize, self.out as usize);
        let size = [1, inputs];
        let image = Image { data: x, items: 1, item: 0, channels: n, plane: inputs, size, grid: size, step: 1 };
        let left = Factor { data: dy, rows: outputs, row: 1, channel: outputs };
        let target = Target { data: dweight, item: 0, row: inputs, down: 0, right: 1, start: Start::Add };
        Product { left, image, taps: &[Tap { weight: 0, at: [0, 0] }], target, finish: None }.run();
    }
}

impl Kernel for ConvolutionBackwardWeight {
    const NAME: &'static str = "convolution_backward_weight";
    const WGSL: &'static [&'static str] = wgsl!("nn/convolution_backward_weight", "shared/product", "shared/grid");
    const WORKGROUP: [u32; 3] = [WIDTH, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        work(self.tiled, self.groups * self.slabs, self.out / self.groups, sizes!(self).columns() as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        let sizes = sizes!(self);
        vec![sizes.x_len(), sizes.y_len(), self.slabs as usize * sizes.weight_len()]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k)), ("TILED", f64::from(self.tiled))]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, dy], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        let (channels, k, y_w, plane) = (sizes.channels(), self.k as usize, self.y_w as usize, sizes.y_plane());
        let places = self.n as usize * plane;
        for (slab, dweight) in write[0].chunks_exact_mut(sizes.weight_len()).enumerate().take(self.slabs as usize) {
            let range = slab * self.slab as usize..((slab + 1) * self.slab as usize).min(places);
            for ((o, c), tap) in
                (0..self.out as usize).flat_map(|o| (0..channels).map(move |c| (o, c))).flat_map(|at| (0..k * k).map(move |tap| (at, tap)))
            {
                let to = &mut dweight[(o * channels + c) * k * k + tap];
                let mut sum = if self.slabs == 1 { f64::from(*to) } else { 0.0 };
                for place in range.clone() {
                    let (n, at) = (place / plane, place % plane);
                    let channel = o / sizes.outputs() * channels + c;
                    if let Some(from) = sizes.x_at([n, channel], [at / y_w, at % y_w], [tap / k, tap % k]) {
                        sum += f64::from(dy[n * sizes.y_item() + o * plane + at]) * f64::from(x[from]);
                    }
                }
                *to = sum as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, dy], sizes) = (read, sizes!(self)) else { unreachable!("checked when recorded") };
        if sizes.is_dense() && self.slabs == 1 {
            return self.dense(x, dy, write[0]);
        }
        let (outputs, taps) = (sizes.outputs(), sizes.taps());
        for group in 0..self.groups as usize {
            let image = sizes.image(x, group);
            let gradient = Gradient {
                image,
                taps: &taps,
                dy: &dy[group * outputs * sizes.y_plane()..],
                dy_item: sizes.y_item(),
                outputs,
                slab: self.slab as usize,
                dweight: &mut write[0][group * outputs * sizes.columns()..],
                dweight_slab: sizes.weight_len(),
                add: self.slabs == 1,
            };
            gradient.run();
        }
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        sizes!(self).multiply_adds()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.slab + 1) as f32 * (largest(read[0]) * largest(read[1])).max(1.0) * f32::EPSILON
    }
}

impl Samples for ConvolutionBackwardWeight {
    fn samples() -> Vec<Sample<Self>> {
        // One more of several slabs, the last of them shorter.
        let shape = crate::tensor::Shape::new([3, 2, 29, 31]).expect("a valid sample");
        let several = Sizes::new(&shape, 5, 3, 1, 1, 1).expect("a valid sample");
        let all = samples().into_iter().chain([Tiling::Workgroup, Tiling::Registers].map(|tiling| (several, tiling)));
        let each = |(sizes, tiling): (Sizes, Tiling)| Sample {
            kernel: Self::new(&sizes, tiling),
            read: vec![noise(sizes.x_len(), 1), noise(sizes.y_len(), 2)],
        };
        all.map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::check_native;
    use super::*;
    use crate::kernels::canary::Loops;
    use crate::tensor::Shape;

    #[test]
    fn every_instruction_set_and_number_of_threads_gives_what_the_twin_does() {
        check_native::<ConvolutionBackwardWeight>();
    }

    #[test]
    fn slabs_cover_every_place_and_stay_below_the_longest_loop() {
        let large = Sizes::new(&Shape::new([256, 64, 112, 112]).unwrap(), 64, 3, 1, 1, 1).unwrap();
        for (sizes, tiling) in
            samples().into_iter().chain([(large, Tiling::Registers), (Sizes::dense(64, 25_088, 512).unwrap(), Tiling::Workgroup)])
        {
            let kernel = ConvolutionBackwardWeight::new(&sizes, tiling);
            let places = sizes.n * sizes.y_h * sizes.y_w;
            assert!((kernel.slabs - 1) * kernel.slab < places && kernel.slabs * kernel.slab >= places, "{kernel:?}");
            assert!(kernel.slab < Loops::SAFE, "{kernel:?}");
        }
        assert!(ConvolutionBackwardWeight::samples().iter().any(|sample| sample.kernel.slabs > 1), "a sample with partial sums");
    }
}
