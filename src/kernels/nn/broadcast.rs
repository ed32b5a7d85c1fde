//! Factors that several elements of an activation share.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernels::together::Together;
use crate::tensor::Shape;

/// The dimensions of a factor (`shared/broadcast.wgsl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broadcast {
    /// One factor per element: `[n, c, plane]`.
    Elements,
    /// One factor per channel of an item, shared by all its places: `[n, c]`.
    Channels,
    /// One factor per place of an item, shared by all its channels: `[n, plane]`.
    Places,
}

impl Broadcast {
    /// Returns the number of elements of the factor for activations of `shape`.
    pub fn len(self, shape: &Shape) -> u32 {
        match self {
            Self::Elements => shape.elements(),
            Self::Channels => shape.n() * shape.c(),
            Self::Places => shape.n() * shape.plane(),
        }
    }

    /// All variants.
    pub(super) const ALL: [Self; 3] = [Self::Elements, Self::Channels, Self::Places];

    /// Returns the variant with the number used in uniforms.
    pub(super) fn from_index(index: u32) -> Self {
        Self::ALL[index as usize]
    }
}

/// Dimensions of an activation and of its factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    pub n: u32,
    pub c: u32,
    pub plane: u32,
    pub over: Broadcast,
}

impl Factors {
    /// Returns the number of elements of the activation.
    pub fn elements(self) -> usize {
        (self.n * self.c * self.plane) as usize
    }

    /// Returns the number of elements of the factor.
    pub fn len(self) -> usize {
        match self.over {
            Broadcast::Elements => self.elements(),
            Broadcast::Channels => (self.n * self.c) as usize,
            Broadcast::Places => (self.n * self.plane) as usize,
        }
    }

    /// Returns the index of the factor for element `i`.
    pub fn of(self, i: usize) -> usize {
        let (c, plane) = (self.c as usize, self.plane as usize);
        match self.over {
            Broadcast::Elements => i,
            Broadcast::Channels => i / plane,
            Broadcast::Places => i / (c * plane) * plane + i % plane,
        }
    }

    /// Calls `each` for every element of `y` with the element of `x` and its factor, on all cores.
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
