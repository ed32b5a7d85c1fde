//! Gradient of local response normalization.

use rayon::prelude::*;

use super::lrn::{ALPHA, window};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx[c] += dy[c] s[c]^-0.75 - 1.5 α x[c] Σ_{|c' - c| <= 4} dy[c'] x[c'] s[c']^-1.75` at every position,
    /// where `s[c] = 1 + α Σ_{|c' - c| <= 4} x[c']²` and `α = 1e-4 / 9`: the derivative of
    /// [`Lrn`](super::Lrn).
    ///
    /// Reads `x: [n, c, plane]` and `dy: [n, c, plane]`; adds to `dx`.
    pub struct LrnBackward { n: u32, c: u32, plane: u32 }
}

impl LrnBackward {
    /// Creates the kernel for activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane() }
    }
}

impl Kernel for LrnBackward {
    const NAME: &'static str = "lrn_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/lrn_backward", "shared/lrn");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.plane, together: 1, items: Some(self.n), rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.c * self.plane) as usize; 3]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        for (item, i) in (0..items as usize).flat_map(|item| (0..plane).map(move |i| (item, i))) {
            let at = |channel: usize| (item * c + channel) * plane + i;
            let value = |slot: usize, channel: usize| f64::from(read[slot][at(channel)]);
            let s = |channel: usize| 1.0 + ALPHA * window(channel, c).map(|other| value(0, other).powi(2)).sum::<f64>();
            for channel in 0..c {
                let through: f64 = window(channel, c).map(|other| value(1, other) * value(0, other) * s(other).powf(-1.75)).sum();
                let d = value(1, channel) * s(channel).powf(-0.75) - 1.5 * ALPHA * value(0, channel) * through;
                write[0][at(channel)] = (f64::from(write[0][at(channel)]) + d) as f32;
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        let alpha = ALPHA as f32;
        let slots =
            read[0].par_chunks_exact(c * plane).zip(read[1].par_chunks_exact(c * plane)).zip(write[0].par_chunks_exact_mut(c * plane));
        // For every channel, s^-0.5 and its term of the sums.
        let scratch = || [c * plane, c * plane, plane].map(|len| vec![0.0_f32; len]);
        slots.take(items as usize).for_each_init(scratch, |[roots, terms, through], ((x, dy), dx)| {
            for (channel, root) in roots.chunks_exact_mut(plane).enumerate() {
                root.fill(0.0);
                for other in window(channel, c) {
                    root.iter_mut().zip(&x[other * plane..]).for_each(|(sum, x)| *sum += x * x);
                }
                root.iter_mut().for_each(|sum| *sum = 1.0 / (1.0 + alpha * *sum).sqrt());
            }
            for (((term, root), x), dy) in terms.iter_mut().zip(&*roots).zip(x).zip(dy) {
                *term = dy * x * root * root * root * root.sqrt();
            }
            for (channel, dx) in dx.chunks_exact_mut(plane).enumerate() {
                through.fill(0.0);
                for other in window(channel, c) {
                    through.iter_mut().zip(&terms[other * plane..]).for_each(|(sum, term)| *sum += term);
                }
                let own = channel * plane..(channel + 1) * plane;
                let values = x[own.clone()].iter().zip(&dy[own.clone()]).zip(&roots[own]).zip(&*through);
                for (dx, (((x, dy), root), through)) in dx.iter_mut().zip(values) {
                    *dx += dy * root * root.sqrt() - 1.5 * alpha * x * through;
                }
            }
        });
    }

    /// A factor of `dy[c]` is at most 1 and errs by 16 ε, as in [`Lrn`](super::Lrn). The sum has nine terms,
    /// each 1.5 times at most half of its `dy` (all of it for the channel itself). Their errors in ε: 11 of
    /// `s`, times 1.75, 9 of the inverse root and the root, 5 of the products and 9 of the summation.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let sum = 1.5 * (1.0 + 8.0 / 2.0) * (1.75 * 11.0 + 9.0 + 5.0 + 9.0);
        (1.0 + (16.0 + sum) * largest(read[1])) * f32::EPSILON
    }
}

impl Samples for LrnBackward {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [([1, 1, 1, 1], 1.0), ([2, 3, 5, 7], 300.0), ([3, 20, 9, 9], 1000.0), ([1, 64, 22, 22], 30.0)];
        cases
            .into_iter()
            .map(|(nchw, scale)| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let x: Vec<f32> = noise(shape.elements() as usize, 1).iter().map(|x| x * scale).collect();
                let dy = noise(x.len(), 2);
                Sample { kernel: Self::new(&shape), read: vec![x, dy] }
            })
            .collect()
    }
}
