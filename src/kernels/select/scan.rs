//! Prefix sum of the hits per block.

use super::Counter;
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Exclusive prefix sum of `counts`, continued from an earlier counter.
    ///
    /// Reads `counts: [blocks]` and a [`Counter`]; writes `offsets: [blocks]` and the new [`Counter`], which holds at most `capacity`.
    pub struct Scan { blocks: u32, capacity: u32 }
}

impl Scan {
    /// Over `blocks` counts.
    pub fn new(blocks: u32, capacity: u32) -> Self {
        Self { blocks, capacity }
    }
}

impl Kernel for Scan {
    const NAME: &'static str = "scan";
    const WGSL: &'static [&'static str] = wgsl!("select/scan", "shared/counter");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::WRITE_U32, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.blocks as usize, Counter::WORDS, self.blocks as usize, Counter::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let before = Counter::read(read[1]);
        let (mut wanted, mut fault) = (before.wanted, before.fault);
        let counts: &[u32] = bytemuck::cast_slice(read[0]);
        for (count, offset) in counts.iter().zip(write[0].iter_mut()).take(self.blocks as usize) {
            *offset = f32::from_bits(wanted);
            wanted += count & 0x7fff_ffff;
            fault |= count >> 31;
        }
        Counter { held: wanted.min(self.capacity), wanted, fault, ..Counter::default() }.write(write[1]);
    }
}

impl Samples for Scan {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 9, 0), (255, 1000, 3), (256, 10, 0), (257, 1 << 14, 20), (8641, 1 << 14, 1)]
            .map(|(blocks, capacity, held)| {
                let counts =
                    noise(blocks as usize, 1).iter().map(|x| (x.to_bits() % 7) | (u32::from(*x > 0.999) << 31)).collect::<Vec<_>>();
                Sample { kernel: Self::new(blocks, capacity), read: vec![words(counts), Counter::of(held).words()] }
            })
            .to_vec()
    }
}
