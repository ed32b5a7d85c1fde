//! Features of two nets, or channels of two activations, side by side.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y[n]` = `a[n]` followed by `b[n]`. Channels of two activations are joined so too, with all elements
    /// of an item. Backward is [`JoinBackward`](super::JoinBackward).
    ///
    /// Reads `a: [n, left]` and `b: [n, right]`; writes `y: [n, left + right]`.
    pub struct Join { n: u32, left: u32, right: u32 }
}

impl Join {
    /// `n` items of `left` and of `right` elements.
    pub fn new(n: u32, left: u32, right: u32) -> Self {
        Self { n, left, right }
    }
}

impl Kernel for Join {
    const NAME: &'static str = "join";
    const WGSL: &'static [&'static str] = wgsl!("nn/join", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        let per_item = self.left + self.right;
        let fits = (per_item * self.n).div_ceil(64) <= Work::MOST_GROUPS;
        Work { per_item, together: 1, items: Some(self.n), rows: u32::from(fits) }
    }

    fn sizes(&self) -> Vec<usize> {
        [self.left, self.right, self.left + self.right].map(|each| (self.n * each) as usize).to_vec()
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (left, right) = (self.left as usize, self.right as usize);
        let sources = read[0].chunks_exact(left).zip(read[1].chunks_exact(right)).take(items as usize);
        for (y, (a, b)) in write[0].chunks_exact_mut(left + right).zip(sources) {
            y[..left].copy_from_slice(a);
            y[left..].copy_from_slice(b);
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (left, both) = (self.left as usize, (self.left + self.right) as usize);
        let items = write[0].par_chunks_exact_mut(both).take(items as usize).enumerate();
        items.with_min_len((BLOCK / both).max(1)).for_each(|(item, y)| {
            let (a, b) = y.split_at_mut(left);
            a.copy_from_slice(&read[0][item * a.len()..][..a.len()]);
            b.copy_from_slice(&read[1][item * b.len()..][..b.len()]);
        });
    }
}

impl Samples for Join {
    fn samples() -> Vec<Sample<Self>> {
        [[1, 1, 1], [3, 128, 16], [64, 256, 144], [5, 7, 11], [70, 50_000, 10_001]]
            .map(|[n, left, right]| {
                let read = vec![noise((n * left) as usize, 1), noise((n * right) as usize, 2)];
                Sample { kernel: Self::new(n, left, right), read }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&Join, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn an_item_of_one_is_followed_by_that_of_the_other() {
        for play in [Kernel::reference as Play, Kernel::native as Play] {
            let mut y = vec![f32::NAN; 6];
            play(&Join::new(2, 2, 1), 2, &[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0]], &mut [&mut y]);
            assert_eq!(y, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        }
    }
}
