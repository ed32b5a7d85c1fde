//! Features of two nets side by side.

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y[n]` = `a[n]` followed by `b[n]`.
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
    const WGSL: &'static [&'static str] = wgsl!("nn/join");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.left + self.right, together: 1, items: Some(self.n), rows: 1 }
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
}

impl Samples for Join {
    fn samples() -> Vec<Sample<Self>> {
        [[1, 1, 1], [3, 128, 16], [64, 256, 144], [5, 7, 11]]
            .map(|[n, left, right]| {
                let read = vec![noise((n * left) as usize, 1), noise((n * right) as usize, 2)];
                Sample { kernel: Self::new(n, left, right), read }
            })
            .to_vec()
    }
}
