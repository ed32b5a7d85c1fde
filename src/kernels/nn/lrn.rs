//! Local response normalization across channels.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `y[n,c,i] = x[n,c,i] (1 + 1e-4 / 9 Σ_{|c' - c| <= 4} x[n,c',i]²)^-0.75` (spec section 5); used by the
    /// rival nets only.
    ///
    /// Reads `x: [n, c, plane]`; writes `y: [n, c, plane]`.
    pub struct Lrn { n: u32, c: u32, plane: u32 }
}

/// Number of neighbouring channels on either side.
const REACH: usize = 4;
pub(super) const ALPHA: f64 = 1e-4 / 9.0;

/// Returns the channels that contribute to channel `c` of `channels`.
pub(super) fn window(c: usize, channels: usize) -> std::ops::Range<usize> {
    c.saturating_sub(REACH)..(c + REACH + 1).min(channels)
}

impl Lrn {
    /// Creates the kernel for activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane() }
    }
}

impl Kernel for Lrn {
    const NAME: &'static str = "lrn";
    const WGSL: &'static [&'static str] = wgsl!("nn/lrn", "shared/lrn");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.plane, together: 1, items: Some(self.n), rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.c * self.plane) as usize; 2]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        let items = read[0].chunks(c * plane).zip(write[0].chunks_mut(c * plane)).take(items as usize);
        for (x, y) in items {
            for (channel, i) in (0..c).flat_map(|channel| (0..plane).map(move |i| (channel, i))) {
                let squares: f64 = window(channel, c).map(|other| f64::from(x[other * plane + i]).powi(2)).sum();
                y[channel * plane + i] = (f64::from(x[channel * plane + i]) * (1.0 + ALPHA * squares).powf(-0.75)) as f32;
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        let planes = write[0].par_chunks_mut(plane).take(items as usize * c).enumerate();
        planes.with_min_len(4).for_each(|(at, y)| {
            let (item, channel) = (&read[0][at / c * c * plane..][..c * plane], at % c);
            y.fill(0.0);
            for other in window(channel, c) {
                y.iter_mut().zip(&item[other * plane..][..plane]).for_each(|(sum, x)| *sum += x * x);
            }
            for (y, x) in y.iter_mut().zip(&item[channel * plane..][..plane]) {
                let root = 1.0 / (1.0 + ALPHA as f32 * *y).sqrt();
                *y = x * root * root.sqrt();
            }
        });
    }

    /// The factor is at most 1. Its errors, in ε: 11 of the sum, times 0.75, 2 of the inverse root, times
    /// 1.5, 3 of the root and 1 of the products.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        16.0 * largest(read[0]) * f32::EPSILON
    }
}

impl Samples for Lrn {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [([1, 1, 1, 1], 1.0), ([2, 3, 5, 7], 300.0), ([3, 20, 9, 9], 1000.0), ([1, 64, 22, 22], 30.0)];
        cases
            .into_iter()
            .map(|(nchw, scale)| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let x = noise(shape.elements() as usize, 1).iter().map(|x| x * scale).collect();
                Sample { kernel: Self::new(&shape), read: vec![x] }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_equal_channels_are_divided_by_as_many_as_lie_within_reach() {
        let shape = Shape::new([1, 10, 1, 1]).expect("a valid shape");
        let mut y = vec![f32::NAN; 10];
        Lrn::new(&shape).reference(1, &[&[300.0; 10]], &mut [&mut y]);
        // 300² x 1e-4 / 9 = 1, so the sum is the number of channels.
        let want = |channels: i32| 300.0 * f64::from(1 + channels).powf(-0.75);
        for (c, channels) in [(0, 5), (3, 8), (4, 9), (5, 9), (9, 5)] {
            assert!((f64::from(y[c]) - want(channels)).abs() < 1e-4, "channel {c}: {}", y[c]);
        }
    }
}
