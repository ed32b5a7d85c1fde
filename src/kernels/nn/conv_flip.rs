//! Weights of a convolution as its input's gradient needs them.

use rayon::prelude::*;

use super::{Conv, GROUP};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Tensor, noise};

crate::uniform! {
    /// Mirrors each `k x k` kernel and swaps input and output channels: the gradient of a convolution's input is a convolution with these
    /// (spec section 8).
    ///
    /// Reads packed weights (see [`Conv::pack`]) of `[out, c, k, k]`; writes packed weights of `[c, out, k, k]`.
    pub struct ConvFlip { c: u32, out: u32, k: u32 }
}

impl ConvFlip {
    /// Of a `k x k` convolution of `c` to `out` channels.
    pub fn new(c: u32, out: u32, k: u32) -> Self {
        Self { c, out, k }
    }

    fn packed(c: u32, out: u32, k: u32) -> usize {
        out.next_multiple_of(GROUP as u32) as usize * (c * k * k) as usize
    }

    /// Elements of the result.
    pub fn elements(&self) -> usize {
        Self::packed(self.out, self.c, self.k)
    }
}

impl Kernel for ConvFlip {
    const NAME: &'static str = "conv_flip";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv_flip");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.c.next_multiple_of(GROUP as u32) * self.k * self.k, together: 1, items: None, rows: self.out }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![Self::packed(self.c, self.out, self.k), self.elements()]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, out, taps) = (self.c as usize, self.out as usize, (self.k * self.k) as usize);
        for (i, flipped) in write[0][..self.elements()].iter_mut().enumerate() {
            let (lane, tap, o) = (i % GROUP, i / GROUP % taps, i / GROUP / taps % out);
            let channel = i / GROUP / taps / out * GROUP + lane;
            let from = ((o / GROUP * c + channel) * taps + taps - 1 - tap) * GROUP + o % GROUP;
            *flipped = if channel < c { read[0][from] } else { 0.0 };
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, out, taps) = (self.c as usize, self.out as usize, (self.k * self.k) as usize);
        // A task has the taps of one output channel and of a group of input channels.
        let blocks = write[0][..self.elements()].par_chunks_exact_mut(taps * GROUP).enumerate();
        blocks.with_min_len(32).for_each(|(block, flipped)| {
            let (group, o) = (block / out, block % out);
            flipped.fill(0.0);
            for (lane, channel) in (group * GROUP..c.min((group + 1) * GROUP)).enumerate() {
                let kernel = &read[0][(o / GROUP * c + channel) * taps * GROUP..][..taps * GROUP];
                let mirrored = kernel.chunks_exact(GROUP).rev().map(|lanes| lanes[o % GROUP]);
                flipped.chunks_exact_mut(GROUP).zip(mirrored).for_each(|(lanes, weight)| lanes[lane] = weight);
            }
        });
    }
}

impl Samples for ConvFlip {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1), (3, 10, 3), (33, 17, 2), (64, 64, 3)]
            .map(|(c, out, k): (u32, u32, u32)| {
                let shape = vec![out as usize, c as usize, k as usize, k as usize];
                let weight = Tensor { data: noise(shape.iter().product(), 1), shape };
                Sample { kernel: Self::new(c, out, k), read: vec![Conv::pack(&weight)] }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_mirrored_and_its_channels_swapped() {
        let weight = Tensor { shape: vec![2, 1, 2, 2], data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] };
        let want = Tensor { shape: vec![1, 2, 2, 2], data: vec![4.0, 3.0, 2.0, 1.0, 8.0, 7.0, 6.0, 5.0] };
        let kernel = ConvFlip::new(1, 2, 2);
        for play in [Kernel::reference, Kernel::native as fn(&ConvFlip, u32, &[&[f32]], &mut [&mut [f32]])] {
            let mut flipped = vec![f32::NAN; kernel.elements()];
            play(&kernel, 1, &[&Conv::pack(&weight)], &mut [&mut flipped]);
            assert_eq!(flipped, Conv::pack(&want));
        }
    }
}
