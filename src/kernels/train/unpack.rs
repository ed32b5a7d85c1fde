//! Conversion of crops from bytes to normalised planes.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `x[n,c,i] = (byte c of rgba[n,i] - 127.5) / 128` (spec section 1).
    ///
    /// Reads `rgba: [n, plane]`, one word per pixel with red in the low byte; writes `x: [n, 3, plane]`. The
    /// host uploads 4 bytes per pixel instead of 12.
    pub struct Unpack { n: u32, plane: u32 }
}

impl Unpack {
    /// Creates the kernel for `n` crops of `plane` pixels.
    pub fn new(n: u32, plane: u32) -> Self {
        Self { n, plane }
    }
}

impl Kernel for Unpack {
    const NAME: &'static str = "unpack";
    const WGSL: &'static [&'static str] = wgsl!("train/unpack");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.plane, together: 1, items: Some(self.n), rows: 3 }
    }

    fn sizes(&self) -> Vec<usize> {
        let pixels = (self.n * self.plane) as usize;
        vec![pixels, 3 * pixels]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let plane = self.plane as usize;
        for (i, x) in write[0][..3 * items as usize * plane].iter_mut().enumerate() {
            let pixel = read[0][i / (3 * plane) * plane + i % plane].to_bits();
            *x = (f32::from(pixel.to_le_bytes()[i / plane % 3]) - 127.5) * 0.007_812_5;
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let plane = self.plane as usize;
        let crops = write[0].par_chunks_exact_mut(3 * plane).zip(read[0].par_chunks_exact(plane));
        crops.take(items as usize).with_min_len(8).for_each(|(x, rgba)| {
            for (c, x) in x.chunks_exact_mut(plane).enumerate() {
                let byte = |pixel: &f32| (pixel.to_bits() >> (8 * c) & 255) as f32;
                x.iter_mut().zip(rgba).for_each(|(x, pixel)| *x = (byte(pixel) - 127.5) * 0.007_812_5);
            }
        });
    }
}

impl Samples for Unpack {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1), (3, 144), (5, 2304)]
            .map(|(n, plane)| {
                let pixels = noise((n * plane) as usize, 1).iter().map(|r| r.to_bits().wrapping_mul(0x9e37_79b9)).collect::<Vec<_>>();
                Sample { kernel: Self::new(n, plane), read: vec![words(pixels)] }
            })
            .to_vec()
    }
}
