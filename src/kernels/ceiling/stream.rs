//! Peak memory bandwidth.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y[i] = x[i]`.
    ///
    /// Reads `x: [rows, quads, 4]`; writes `y` of the same shape.
    pub struct Stream { rows: u32, quads: u32 }
}

impl Stream {
    /// Creates a copy of `rows x quads x 4` elements, with at most 4 million quads per row.
    pub fn new(rows: u32, quads: u32) -> Self {
        Self { rows, quads }
    }
}

impl Kernel for Stream {
    const NAME: &'static str = "stream";
    const WGSL: &'static [&'static str] = wgsl!("ceiling/stream");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.quads, together: 1, items: None, rows: self.rows }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.rows as usize * self.quads as usize * 4; 2]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let len = self.sizes()[0];
        write[0][..len].copy_from_slice(&read[0][..len]);
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let len = self.sizes()[0];
        let blocks = write[0][..len].par_chunks_mut(1 << 18).zip(read[0].par_chunks(1 << 18));
        blocks.for_each(|(y, x)| y.copy_from_slice(&x[..y.len()]));
    }
}

impl Samples for Stream {
    fn samples() -> Vec<Sample<Self>> {
        [[1, 1], [3, 65], [2, 70_000]]
            .map(|[rows, quads]| Sample { kernel: Self::new(rows, quads), read: vec![noise((rows * quads * 4) as usize, 1)] })
            .to_vec()
    }
}
