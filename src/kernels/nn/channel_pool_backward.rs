//! Gradient of the largest and the mean over channels.

use rayon::prelude::*;

use super::ChannelPool;
use super::prelu::SHAPES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx[n,c,i] += dy[n,1,i] / C`, and for the channel of the largest `dy[n,0,i]` besides: the gradient of
    /// [`ChannelPool`].
    ///
    /// Reads `dy: [n, 2, plane]` and `channels: [n, plane]`; adds to `dx: [n, c, plane]`.
    pub struct ChannelPoolBackward { n: u32, c: u32, plane: u32 }
}

impl ChannelPoolBackward {
    /// Over activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane() }
    }
}

impl Kernel for ChannelPoolBackward {
    const NAME: &'static str = "channel_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/channel_pool_backward", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.c * self.plane)
    }

    fn sizes(&self) -> Vec<usize> {
        let places = (self.n * self.plane) as usize;
        vec![2 * places, places, self.c as usize * places]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        for (at, dx) in write[0][..self.sizes()[2]].iter_mut().enumerate() {
            let (item, channel, i) = (at / (c * plane), at / plane % c, at % plane);
            let dy = |row: usize| f64::from(read[0][(2 * item + row) * plane + i]);
            let of_largest = if read[1][item * plane + i].to_bits() as usize == channel { dy(0) } else { 0.0 };
            *dx = (f64::from(*dx) + of_largest + dy(1) / c as f64) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane, simd) = (self.c as usize, self.plane as usize, Simd::chosen());
        let channels = bytemuck::cast_slice::<f32, u32>(read[1]);
        let items = write[0].par_chunks_exact_mut(c * plane).zip(read[0].par_chunks_exact(2 * plane)).zip(channels.par_chunks_exact(plane));
        items.take(self.n as usize).for_each(|((dx, dy), channels)| {
            let (of_largest, of_mean) = dy.split_at(plane);
            simd.run(Plain(|| {
                for dx in dx.chunks_exact_mut(plane) {
                    dx.iter_mut().zip(of_mean).for_each(|(dx, d)| *dx += d / c as f32);
                }
            }));
            of_largest.iter().zip(channels).enumerate().for_each(|(i, (d, channel))| dx[*channel as usize * plane + i] += d);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (2.0 + 6.0 * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for ChannelPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        let sample = |(forward, shape): (Sample<ChannelPool>, [u32; 4])| {
            let sizes = forward.kernel.sizes();
            let [mut y, mut channels] = [1, 2].map(|slot| vec![f32::NAN; sizes[slot]]);
            forward.kernel.reference(1, &[&forward.read[0]], &mut [&mut y, &mut channels]);
            let shape = Shape::new(shape).expect("a valid sample");
            Sample { kernel: Self::new(&shape), read: vec![noise(sizes[1], 2), channels] }
        };
        ChannelPool::samples().into_iter().zip(SHAPES).map(sample).collect()
    }
}
