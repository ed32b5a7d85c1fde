//! Factors that are the same for several elements of an activation.

use rayon::prelude::*;

use crate::kernels::together::Together;
use crate::tensor::Shape;

/// What a factor is given for (`shared/broadcast.wgsl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// Every element has its own: `[n, c, plane]`.
    Elements,
    /// Every channel of an item, the same at all its places: `[n, c]`.
    Channels,
    /// Every place of an item, the same for all its channels: `[n, plane]`.
    Places,
}

impl Broadcast {
    /// Elements of the factor of activations of `shape`.
    pub fn len(self, shape: &Shape) -> u32 {
        match self {
            Self::Elements => shape.elements(),
            Self::Channels => shape.n() * shape.c(),
            Self::Places => shape.n() * shape.plane(),
        }
    }

    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Elements, Self::Channels, Self::Places];

    /// By the number that uniforms have.
    pub(super) fn from_index(index: u32) -> Self {
        Self::ALL[index as usize]
    }
}

/// An activation and what its factor is given for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    pub n: u32,
    pub c: u32,
    pub plane: u32,
    pub over: Broadcast,
}

impl Factors {
    /// Elements of the activation.
    pub fn elements(self) -> usize {
        (self.n * self.c * self.plane) as usize
    }

    /// Elements of the factor.
    pub fn len(self) -> usize {
        match self.over {
            Broadcast::Elements => self.elements(),
            Broadcast::Channels => (self.n * self.c) as usize,
            Broadcast::Places => (self.n * self.plane) as usize,
        }
    }

    /// The factor's element that goes with element `i`.
    pub fn of(self, i: usize) -> usize {
        let (c, plane) = (self.c as usize, self.plane as usize);
        match self.over {
            Broadcast::Elements => i,
            Broadcast::Channels => i / plane,
            Broadcast::Places => i / (c * plane) * plane + i % plane,
        }
    }

    /// Calls `each` for every element of `y`, `x` and what it is multiplied by, on all cores.
    pub fn for_each(self, x: &[f32], factor: &[f32], y: &mut [f32], each: impl Fn(&mut f32, f32, f32) + Sync) {
        let together = Together::new(self.c, self.plane);
        let (len, plane) = (together.len(), together.plane);
        y[..self.elements()].par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(task, (y, x))| {
            for (k, (y, x)) in y.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).enumerate() {
                let at = together.at(task, k);
                let pairs = y.iter_mut().zip(x);
                match self.over {
                    Broadcast::Channels => {
                        let factor = factor[at];
                        pairs.for_each(|(y, x)| each(y, *x, factor));
                    }
                    Broadcast::Elements => pairs.zip(&factor[at * plane..]).for_each(|((y, x), factor)| each(y, *x, *factor)),
                    Broadcast::Places => {
                        let first = at / self.c as usize * plane;
                        pairs.zip(&factor[first..]).for_each(|((y, x), factor)| each(y, *x, *factor));
                    }
                }
            }
        });
    }
}
