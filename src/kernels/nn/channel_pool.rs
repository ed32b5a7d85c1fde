//! Largest and mean over channels.

use rayon::prelude::*;

use super::prelu::SHAPES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, ShapeError, noise};

crate::uniform! {
    /// `y[n,0,i] = max_c x[n,c,i]` and `y[n,1,i] = mean_c x[n,c,i]`: what spatial attention looks at. Of
    /// equal ones the first is the largest.
    ///
    /// Reads `x: [n, c, plane]`; writes `y: [n, 2, plane]` and the largest's `channels: [n, plane]`, for
    /// [`ChannelPoolBackward`](super::ChannelPoolBackward).
    pub struct ChannelPool { n: u32, c: u32, plane: u32 }
}

impl ChannelPool {
    /// Over activations of `shape`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooManyTerms`] if there are more channels than an invocation may go through.
    pub fn new(shape: &Shape) -> Result<Self, ShapeError> {
        ShapeError::check_terms(shape.c())?;
        Ok(Self { n: shape.n(), c: shape.c(), plane: shape.plane() })
    }
}

impl Kernel for ChannelPool {
    const NAME: &'static str = "channel_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/channel_pool", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.plane)
    }

    fn sizes(&self) -> Vec<usize> {
        let places = (self.n * self.plane) as usize;
        vec![self.c as usize * places, 2 * places, places]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        for (item, i) in (0..self.n as usize).flat_map(|item| (0..plane).map(move |i| (item, i))) {
            let x = |channel: usize| read[0][(item * c + channel) * plane + i];
            let best = (1..c).fold(0, |best, channel| if x(channel) > x(best) { channel } else { best });
            write[0][2 * item * plane + i] = x(best);
            write[0][(2 * item + 1) * plane + i] = ((0..c).map(|channel| f64::from(x(channel))).sum::<f64>() / c as f64) as f32;
            write[1][item * plane + i] = f32::from_bits(best as u32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        let [y, channels] = write else { unreachable!("checked when recorded") };
        let items = y.par_chunks_exact_mut(2 * plane).zip(channels.par_chunks_exact_mut(plane)).zip(read[0].par_chunks_exact(c * plane));
        items.take(self.n as usize).for_each(|((y, channels), x)| {
            let (best, mean) = y.split_at_mut(plane);
            best.copy_from_slice(&x[..plane]);
            mean.fill(0.0);
            channels.fill(0.0);
            for (channel, x) in x.chunks_exact(plane).enumerate() {
                let channel = f32::from_bits(channel as u32);
                for (((best, at), mean), x) in best.iter_mut().zip(channels.iter_mut()).zip(mean.iter_mut()).zip(x) {
                    *mean += x;
                    if *x > *best {
                        (*best, *at) = (*x, channel);
                    }
                }
            }
            mean.iter_mut().for_each(|mean| *mean /= c as f32);
        });
    }

    /// A mean of so many terms errs by half an ε of the largest for each.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.c + 3) as f32 * largest(read[0]) * f32::EPSILON
    }
}

impl Samples for ChannelPool {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                // Few values, so that many are equal.
                let x = noise(shape.elements() as usize, 1).iter().map(|v| (v * 9.0).round()).collect();
                Sample { kernel: Self::new(&shape).expect("few channels"), read: vec![x] }
            })
            .to_vec()
    }
}
