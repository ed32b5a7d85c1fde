//! Gradient of softmax and cross entropy together.

use super::cross_entropy::difference;
use super::sample_faces;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `dy[n,k] += scale[n] (softmax_k - t_k)`, `t_1 = t`, `t_0 = 1 - t`, `k` 0 and 1 (spec section 4.4).
    ///
    /// Reads `y: [n, outputs]`, `t` as `faces: [n]` and row 0 of `scales: [rows, n]`; adds to `dy: [n, outputs]`. A scale of 0 adds nothing at all.
    pub struct CrossEntropyBackward { n: u32, outputs: u32 }
}

impl CrossEntropyBackward {
    /// Of `n` samples with `outputs` outputs each.
    pub fn new(n: u32, outputs: u32) -> Self {
        Self { n, outputs }
    }
}

impl Kernel for CrossEntropyBackward {
    const NAME: &'static str = "cross_entropy_backward";
    const WGSL: &'static [&'static str] = wgsl!("train/cross_entropy_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let (n, y) = (self.n as usize, (self.n * self.outputs) as usize);
        vec![y, n, n, y]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let outputs = self.outputs as usize;
        let samples = read[0].chunks_exact(outputs).zip(read[1]).zip(read[2]).zip(write[0].chunks_exact_mut(outputs));
        for (((y, t), scale), dy) in samples.take(self.n as usize).filter(|((_, scale), _)| **scale != 0.0) {
            // Not 1 - p: near 0 that is nothing but rounding.
            let probability = |d: f64| 1.0 / (1.0 + (-d).exp());
            let (d, t) = (difference(y), f64::from(*t));
            let d = f64::from(*scale) * ((1.0 - t) * probability(d) - t * probability(-d));
            dy[0] = (f64::from(dy[0]) - d) as f32;
            dy[1] = (f64::from(dy[1]) + d) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let outputs = self.outputs as usize;
        let samples = read[0].chunks_exact(outputs).zip(read[1]).zip(read[2]).zip(write[0].chunks_exact_mut(outputs));
        for (((y, t), scale), dy) in samples.take(self.n as usize) {
            if *scale != 0.0 {
                let d = y[1] - y[0];
                let e = (-d.abs()).exp();
                let (face, other) = if d > 0.0 { (1.0, e) } else { (e, 1.0) };
                let d = scale * ((1.0 - t) * (face / (1.0 + e)) - t * (other / (1.0 + e)));
                dy[0] -= d;
                dy[1] += d;
            }
        }
    }

    /// As for [`CrossEntropy`](super::CrossEntropy), with a division of 2.5 ulp.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + largest(read[2]) * (8.0 + 4.0 * largest(read[0]))) * f32::EPSILON
    }
}

impl Samples for CrossEntropyBackward {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 6), (65, 16), (300, 6)]
            .map(|(n, outputs)| {
                let y = noise((n * outputs) as usize, 1).iter().map(|v| v * 20.0).collect();
                let scales = noise(3 * n as usize, 2).iter().map(|v| v.max(0.0)).collect();
                Sample { kernel: Self::new(n, outputs), read: vec![y, sample_faces(n as usize), scales] }
            })
            .to_vec()
    }
}
